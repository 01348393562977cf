"use strict";
// What the page of a report can do beside what it does without a script: charts, colours, hiding servers in all
// charts at once, walking through points by keys. It asks for nothing: figures and plotly.js are inside it.

const NARROW = 520;         // pixels; a chart that is less wide has no room for names at the ends of lines
const APART = 18;           // pixels between two such names, if they are less than
const PAPER = 640;          // pixels of a chart on paper, of whatever size that is
const BESIDE = 130;         // pixels from each other, from left to right

const root = document.documentElement;
const by = selector => document.querySelector(selector);
const all = selector => Array.from(document.querySelectorAll(selector));

// -- Colours

const THEMES = {system: "as the system", light: "light", dark: "dark"};

function remembered() {
    try {
        return localStorage.getItem("fastserve-report-theme") in THEMES
            ? localStorage.getItem("fastserve-report-theme") : "system";
    } catch {
        return "system";
    }
}

function colours(name) {
    root.dataset.theme = name;
    if (by("#theme"))
        by("#theme").textContent = `Colours: ${THEMES[name]}`;
}

function nextColours() {
    const names = Object.keys(THEMES);
    const name = names[(names.indexOf(root.dataset.theme) + 1) % names.length];
    colours(name);
    try {
        localStorage.setItem("fastserve-report-theme", name);
    } catch {
        // It is so until the page is left.
    }
    redraw();
}

// What a name of a colour stands for just now. Custom properties are not computed, but a colour is.
const probe = document.createElement("span");
probe.hidden = true;

function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
}

// A part of a figure with the colours of the theme in the place of their names.
function themed(part) {
    if (typeof part === "string")
        return /^@(c\d|[a-z]+)$/.test(part) ? colour(part.slice(1))
            : part.replace(/"color:@(c\d)"/g, (_, name) => `"color:${colour(name)}"`);
    if (Array.isArray(part))
        return typeof part[0] === "number" ? part.slice() : part.map(themed);
    if (part && typeof part === "object")
        return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, themed(value)]));
    return part;
}

// -- Charts

let figures = {};
const drawn = new Set();    // those that have been seen
const hidden = new Set();   // names of servers
let before = null;          // while something is printed, the theme that was chosen

// plotly.js, which is packed, as it would be most of the page.
async function unpack() {
    const octets = Uint8Array.from(atob(by("#plotly").textContent), character => character.charCodeAt(0));
    const stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
}

// What is drawn of a figure: without those who are hidden, and with what there is room for.
function shown(plot) {
    const {data, layout, row} = figures[plot.id];
    const seen = data.filter(trace => !hidden.has(trace.meta));
    const gone = new Set(data.map(trace => trace.meta).filter(name => hidden.has(name)));
    const width = before ? PAPER : plot.clientWidth, narrow = width < NARROW;
    const more = {
        font: {...layout.font, family: getComputedStyle(root).fontFamily},
        width,
        height: layout.height - (row || 0) * gone.size,
        annotations: narrow ? [] : (layout.annotations || []).filter(each => !hidden.has(each.name)),
        xaxis: narrow ? {...layout.xaxis, tickfont: {...layout.xaxis.tickfont, size: 11}} : layout.xaxis,
        margin: narrow ? {...layout.margin, r: 16} : layout.margin,
        dragmode: matchMedia("(pointer: fine)").matches && !row ? "zoom" : false,
    };
    return themed({data: seen, layout: {...layout, ...more}});
}

// Draw it, after what is being drawn already.
function draw(plot) {
    plot.drawing = (plot.drawing || Promise.resolve()).then(() => paint(plot));
    return plot.drawing;
}

async function paint(plot) {
    const inner = plot.firstElementChild;
    const {data, layout} = shown(plot);
    plot.style.minHeight = `${layout.height}px`;
    plot.at = null;
    await Plotly.react(inner, data, layout, {displayModeBar: false});
    if (!drawn.has(plot)) {
        drawn.add(plot);
        inner.on("plotly_relayout", () => separate(inner));
    }
    await separate(inner);
}

// Names that would cover each other are moved apart; the lowest stays where it is.
function separate(inner) {
    const labels = inner.layout.annotations || [];
    if (labels.length < 2)
        return null;
    const {width, height, margin, xaxis, yaxis} = inner.layout;
    const [across, room] = [width - margin.l - margin.r, height - margin.t - margin.b];
    const share = (value, [low, high]) => (value - low) / (high - low);
    const order = labels.map((label, index) => ({
        index, left: label.xref === "paper" ? 0 : share(label.x, xaxis.range) * across,
        from: share(label.y, yaxis.range) * room, to: share(label.y, yaxis.range) * room,
    })).sort((a, b) => a.from - b.from);
    const beside = one => other => other !== one && Math.abs(one.left - other.left) < BESIDE;
    order.forEach((each, at) => {
        each.to = Math.max(each.from, ...order.slice(0, at).filter(beside(each)).map(other => other.to + APART));
    });
    order.reverse().forEach((each, at) => {
        each.to = Math.min(each.to, room, ...order.slice(0, at).filter(beside(each)).map(other => other.to - APART));
    });
    const moved = labels.map(label => ({...label}));
    for (const {index, from, to} of order)
        moved[index].yshift = to - from;
    return Plotly.react(inner, inner.data, {...inner.layout, annotations: moved});
}

function redraw() {
    return Promise.all(Array.from(drawn, draw));
}

function drawAll() {
    return Promise.all(all(".plot").map(draw));
}

// -- Walking through points

const KEYS = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]};

function walk(event) {
    const plot = event.currentTarget, inner = plot.firstElementChild;
    if (event.ctrlKey || event.altKey || event.metaKey || !drawn.has(plot) || !inner.data.length)
        return;
    if (event.key === "Escape") {
        Plotly.Fx.unhover(inner);
        plot.at = null;
    } else if (event.key in KEYS) {
        event.preventDefault();
        point(plot, inner, ...KEYS[event.key]);
    }
}

// Go to another trace, or to another point of a trace, and say what it is.
function point(plot, inner, traces, points) {
    const count = inner.data.length, at = plot.at;
    const curve = at ? (at.curve + traces + count) % count : 0;
    const texts = inner.data[curve].text;
    let index = at ? Math.min(at.index, texts.length - 1) + points : 0;
    while (texts[index] === "")
        index += points || 1;
    if (index < 0 || index >= texts.length)
        return;
    plot.at = {curve, index};
    Plotly.Fx.hover(inner, [{curveNumber: curve, pointNumber: index}]);
    by("#said").textContent = `${inner.data[curve].meta}, ${texts[index]}`.replace(/<br>/g, ", ").replace(/<[^>]*>/g, "");
}

// -- Beginning

function hide() {
    hidden.clear();
    for (const box of all("#legend input"))
        if (!box.checked)
            hidden.add(box.value);
    return redraw();
}

async function begin() {
    colours(remembered());
    by("#theme").hidden = false;
    by("#theme").addEventListener("click", nextColours);
    document.body.append(probe);
    figures = JSON.parse(by("#figures").textContent);
    if (!("DecompressionStream" in window))
        return;             // the tables stay open
    await unpack();
    const watcher = new IntersectionObserver(entries => {
        for (const {isIntersecting, target} of entries)
            if (isIntersecting && !drawn.has(target))
                draw(target);
    }, {rootMargin: "400px"});
    for (const plot of all(".plot")) {
        plot.hidden = false;
        plot.addEventListener("keydown", walk);
        watcher.observe(plot);
    }
    for (const details of all("figure details"))
        details.open = false;
    by("#legend").hidden = false;
    by("#legend").addEventListener("change", hide);
    hide();                 // a browser may remember what was chosen before the page was loaded anew
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    let width = innerWidth;
    addEventListener("resize", () => {
        if (innerWidth !== width)
            redraw();
        width = innerWidth;
    });
    addEventListener("beforeprint", () => {
        before = root.dataset.theme;
        root.dataset.theme = "light";
        drawAll();
    });
    addEventListener("afterprint", () => {
        root.dataset.theme = before;
        before = null;
        redraw();
    });
}

colours(remembered());      // before there is anything to be seen
addEventListener("DOMContentLoaded", begin);

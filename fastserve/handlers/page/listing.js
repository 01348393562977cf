"use strict";
// What the page of a folder can do beside what it does without a script: sort at once, filter, keys, colours,
// previews of images, uploads with their progress. It asks for nothing but what somebody has asked it for.
// listing.html says what there is. The rows come written from fastserve/_listing.pyx, which sorts as we do.

const CHUNK = 200;          // rows of a body of the table, as the server makes them
const PAUSE = 80;           // ms of not typing, after which is filtered
const AT_ONCE = 3;          // uploads
const PREVIEWED = /\.(apng|avif|bmp|gif|ico|jpe|jpeg|jpg|png|svg|webp)$/i;

const root = document.documentElement;
const by = selector => document.querySelector(selector);
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

// -- Colours: before there is anything to be seen

const THEMES = {system: "as the system", light: "light", dark: "dark"};

function remembered() {
    try {
        return localStorage.getItem("fastserve-theme") in THEMES ? localStorage.getItem("fastserve-theme") : "system";
    } catch {
        return "system";
    }
}

function colour(name) {
    root.dataset.theme = name;
    const button = by("#theme");
    if (button) {
        button.title = `Colours: ${THEMES[name]}`;
        button.setAttribute("aria-label", button.title);
    }
}

function nextColour() {
    const names = Object.keys(THEMES);
    const name = names[(names.indexOf(root.dataset.theme) + 1) % names.length];
    colour(name);
    try {
        localStorage.setItem("fastserve-theme", name);
    } catch {
        // It is so until the page is left.
    }
}

colour(remembered());

// -- Entries: read from the table when they are needed first

let entries = null;         // all of them, in the order in which they were last sorted
let shown = [];             // those that the filter lets through
let asked = "";             // what the filter says

function read() {
    entries ??= Array.from(document.querySelectorAll("tbody tr"), (row, index) => {
        const link = row.cells[0].firstElementChild;
        const name = link.firstElementChild.textContent;
        const digits = row.cells[1].title.replace(/\D/g, "");
        const time = row.cells[2].firstElementChild;
        return {
            row, link, name, index,
            lower: name.toLowerCase(),
            folder: link.classList.contains("d"),
            size: digits ? Number(digits) : -1,
            date: time ? Date.parse(time.dateTime) : -Infinity,
        };
    });
    if (!asked)
        shown = entries;
    return entries;
}

// A key in which numbers come in the order of their values: a zero, how many digits, and those.
function natural(entry) {
    entry.key ??= entry.lower.replace(/[0-9]+/g, digits => {
        digits = digits.replace(/^0+/, "");
        return "0" + String.fromCharCode(digits.length) + digits;
    }) + "\0" + entry.lower;
    return entry.key;
}

const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;

function sort(column, order) {
    const sign = order === "desc" ? -1 : 1;
    read().sort((a, b) => {
        const first = column === "name" || (column === "size" && a.folder) ? 0 : compare(a[column], b[column]);
        return b.folder - a.folder || sign * first
            || (column === "name" ? sign : 1) * compare(natural(a), natural(b)) || a.index - b.index;
    });
    for (const heading of document.querySelectorAll("thead th")) {
        const link = heading.firstElementChild;
        const ours = new URLSearchParams(link.search).get("sort") === column;
        if (ours)
            heading.setAttribute("aria-sort", order === "desc" ? "descending" : "ascending");
        else
            heading.removeAttribute("aria-sort");
        const name = new URLSearchParams(link.search).get("sort");
        link.href = `?sort=${name}&order=${ours && order === "asc" ? "desc" : "asc"}`;
    }
    filter();
}

function filter() {
    const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
    read();
    shown = words.length ? entries.filter(entry => words.every(word => entry.lower.includes(word))) : entries;
    const table = by("table"), bodies = [];
    const focused = document.activeElement.closest("tbody a");     // which loses it where it is moved
    for (let at = 0; at < shown.length; at += CHUNK) {
        const body = make("tbody");
        body.append(...shown.slice(at, at + CHUNK).map(entry => entry.row));
        bodies.push(body);
    }
    table.replaceChildren(table.caption, table.tHead, ...bodies);
    if (focused?.isConnected)
        focused.focus();
    by("#none").hidden = shown.length > 0 || !words.length;
    const summary = by("#summary");
    summary.dataset.all ??= summary.textContent;
    summary.textContent = words.length
        ? `${shown.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")} shown`
        : summary.dataset.all;
}

let pause = 0;

function filterSoon() {
    clearTimeout(pause);
    pause = setTimeout(filterNow, PAUSE);
}

function filterNow() {
    clearTimeout(pause);
    const words = by("#filter").value;
    if (words !== asked) {
        asked = words;
        filter();
    }
}

// -- Keys

function go(to) {
    read();
    shown[Math.max(0, Math.min(to, shown.length - 1))]?.link.focus();
}

function at() {
    read();
    const row = document.activeElement.closest("tbody tr");
    return row ? shown.findIndex(entry => entry.row === row) : -1;
}

const KEYS = {
    "/": () => by("#filter").select(),
    "?": () => by("#keys").showModal(),
    ArrowDown: () => go(at() + 1),
    ArrowUp: () => at() === 0 ? by("#filter").focus() : go(at() < 0 ? 0 : at() - 1),
    Home: () => go(0),
    End: () => go(Infinity),
    Backspace: () => [...document.querySelectorAll("nav a")].pop()?.click(),
    Escape: () => unfilter(),
};

const FILTER_KEYS = {
    ArrowDown: () => go(0),
    Escape: () => unfilter(),
    Enter: () => shown[0]?.link.click(),
};

function unfilter() {
    by("#filter").value = "";
    filterNow();
}

function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || by("dialog[open]"))
        return;
    const target = event.target;
    const typing = target.matches("input, textarea, select");
    const does = (typing ? target.id === "filter" && FILTER_KEYS : KEYS)?.[event.key];
    if (!does)
        return;
    event.preventDefault();
    filterNow();
    does();
}

// -- Previews of images

let previewed = null;

function preview(entry) {
    if (!entry)
        return;
    previewed = entry;
    const dialog = by("#preview"), image = dialog.querySelector("img"), caption = by("#caption");
    const images = shown.filter(isPreviewed);
    image.alt = entry.name;
    image.src = caption.href = entry.link.href;
    caption.firstElementChild.textContent = entry.name;
    caption.nextElementSibling.textContent =
        ` · ${entry.row.cells[1].textContent} · ${images.indexOf(entry) + 1} of ${images.length}`;
    for (const button of dialog.querySelectorAll("[value='1'], [value='-1']"))
        button.hidden = images.length < 2;
    if (!dialog.open)
        dialog.showModal();
}

const isPreviewed = entry => entry.link.classList.contains("i") && PREVIEWED.test(entry.link.pathname);

function previewNext(step) {
    const images = shown.filter(isPreviewed);
    preview(images[(images.indexOf(previewed) + step + images.length) % images.length]);
}

function beginPreviews() {
    const dialog = by("#preview");
    dialog.addEventListener("click", event => {
        const button = event.target.closest("button");
        if (event.target === dialog || button?.value === "close")
            dialog.close();
        else if (button)
            previewNext(Number(button.value));
    });
    dialog.addEventListener("keydown", event => {
        if (event.key === "ArrowLeft" || event.key === "ArrowRight")
            previewNext(event.key === "ArrowLeft" ? -1 : 1);
    });
    dialog.addEventListener("close", () => {
        dialog.querySelector("img").removeAttribute("src");
        previewed.link.focus();
    });
}

// -- Uploads: a PUT for each file, which is never to replace one

const MESSAGES = {
    201: "stored", 204: "stored", 200: "stored",
    401: "not allowed", 403: "not allowed", 405: "no uploads here",
    409: "there already", 412: "there already", 413: "too large", 507: "no room left",
};

const waiting = [];
let active = 0;

function upload(file) {
    const item = make("li"), bar = make("progress", {max: 1, value: 0}), said = make("output", {value: "waiting"});
    const cancel = make("button", {type: "button", className: "button icon", textContent: "×"});
    cancel.setAttribute("aria-label", `Cancel ${file.name}`);
    bar.setAttribute("aria-label", file.name);
    item.append(make("bdi", {textContent: file.name}), said, cancel, bar);
    by("#uploads").append(item);
    const request = new XMLHttpRequest();
    const job = {file, item, bar, said, cancel, request};
    cancel.addEventListener("click", () => {
        const place = waiting.indexOf(job);
        if (place < 0)
            return request.abort();
        waiting.splice(place, 1);
        end(job, false, "cancelled");
    });
    waiting.push(job);
}

function end(job, stored, message) {
    job.item.className = stored ? "stored" : "failed";
    job.said.value = message;
    job.cancel.remove();
}

function send(job) {
    const {file, request, bar, said} = job;
    const done = (stored, message) => {
        active -= 1;
        end(job, stored, message);
        if (stored)
            stale = true;
        sendNext();
    };
    request.upload.addEventListener("progress", event => {
        bar.value = event.total ? event.loaded / event.total : 1;
        said.value = `${Math.floor(bar.value * 100)}%`;
    });
    request.addEventListener("load", () => done(request.status < 300,
        MESSAGES[request.status] ?? `${request.status} ${request.statusText}`));
    request.addEventListener("error", () => done(false, "the connection was lost"));
    request.addEventListener("abort", () => done(false, "cancelled"));
    request.open("PUT", location.pathname + encodeURIComponent(file.name));
    request.setRequestHeader("If-None-Match", "*");
    active += 1;
    request.send(file);
}

let stale = false;          // whether the table lacks what was stored

function sendNext() {
    while (active < AT_ONCE && waiting.length)
        send(waiting.shift());
    if (stale && !active) {
        stale = false;
        refresh();
    }
}

async function refresh() {
    const answer = await fetch(location.href, {headers: {Accept: "text/html"}});
    if (!answer.ok)
        return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    by("main").replaceWith(document.adoptNode(page.querySelector("main")));
    entries = null;
    if (asked)
        filter();
}

function uploadAll(items) {
    for (const item of items)
        upload(item);
    sendNext();
}

function dropped(data) {
    // What stands for a folder has no octets.
    const items = [...data.items].filter(item => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory);
    return items.map(item => item.getAsFile()).filter(Boolean);
}

function beginUploads() {
    const form = by("#upload"), pick = by("#pick");
    if (!form)
        return;
    form.classList.add("scripted");
    form.querySelector("button").hidden = true;
    form.querySelector(".scripted").hidden = false;
    pick.classList.add("spoken");
    form.prepend(pick);
    pick.addEventListener("change", () => {
        uploadAll(pick.files);
        pick.value = "";
    });
    const dropping = event => {
        if (!event.dataTransfer?.types.includes("Files"))
            return;
        event.preventDefault();
        root.classList.toggle("dropping", event.type === "dragover");
        if (event.type === "drop")
            uploadAll(dropped(event.dataTransfer));
    };
    for (const name of ["dragover", "dragleave", "drop"])
        addEventListener(name, dropping);
}

// -- All of it

function click(event) {
    const link = event.target.closest("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
        return;
    if (link.closest("thead")) {
        event.preventDefault();
        const query = new URLSearchParams(link.search);
        history.replaceState(null, "", link.search);
        sort(query.get("sort"), query.get("order"));
    } else if (link.closest("tbody")) {
        const entry = read().find(each => each.link === link);
        if (entry && isPreviewed(entry)) {
            event.preventDefault();
            preview(entry);
        }
    }
}

// A time is shown to the minute; all of it is told when it is asked for.
function tell(event) {
    if (event.target.tagName === "TIME" && !event.target.title)
        event.target.title = new Date(event.target.dateTime).toLocaleString(undefined, {dateStyle: "full", timeStyle: "long"});
}

addEventListener("DOMContentLoaded", () => {
    for (const control of document.querySelectorAll("#filter, #theme, #help"))
        control.hidden = false;
    colour(root.dataset.theme);
    by("#theme").addEventListener("click", nextColour);
    by("#help").addEventListener("click", KEYS["?"]);
    by("#filter").addEventListener("input", filterSoon);
    document.addEventListener("click", click);
    document.addEventListener("keydown", press);
    document.addEventListener("pointerover", tell);
    beginPreviews();
    beginUploads();
    filterNow();            // what the browser has kept there, when one comes back
});

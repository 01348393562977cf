"use strict";
// What the list of endpoints can do beside showing them: filter, and ask each of them and show the answer.
// It asks for nothing but what somebody has asked it for. index.html says what there is.

const SHOWN = 1 << 16;      // octets of a body that are shown; the rest is not waited for

const by = selector => document.querySelector(selector);
const all = selector => Array.from(document.querySelectorAll(selector));
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

// -- The filter

function filter() {
    const words = by("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = all("details");
    let shown = 0;
    for (const row of rows) {
        const text = row.firstElementChild.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        shown += !row.hidden;
    }
    for (const section of all("section"))
        section.hidden = !section.querySelector("details:not([hidden])");
    by("#none").hidden = shown > 0;
    by("#summary").textContent = words.length ? `${shown} of ${rows.length} endpoints` : `${rows.length} endpoints`;
}

// -- Asking

// What the form says: a place of a path has its slashes only where it is the rest of it.
function target(form) {
    const values = {};
    for (const field of form.querySelectorAll("[name=place]")) {
        const text = encodeURIComponent(decoded(field.value));
        values[field.dataset.place] = field.dataset.kind === "path" ? text.replaceAll("%2F", "/") : text;
    }
    const path = form.dataset.path.replace(/\{(\w+)(?::\w+)?\}/g, (_, name) => values[name]);
    const query = form.elements.query.value.replace(/^\?/, "");
    return query ? `${path}?${query}` : path;
}

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

async function ask(form) {
    const answer = form.nextElementSibling, stop = form.querySelector(".stop");
    const method = form.elements.method.value, body = form.elements.body?.value;
    const control = new AbortController();
    const end = () => control.abort();
    answer.hidden = false;
    answer.replaceChildren(make("p", {textContent: "Waiting …"}));
    stop.hidden = false;
    stop.addEventListener("click", end, {once: true});
    try {
        const began = performance.now();
        const got = await fetch(target(form), {
            method, cache: "no-store", signal: control.signal,
            body: body && method !== "GET" && method !== "HEAD" ? body : undefined,
        });
        await show(answer, got, began);
    } catch (error) {
        const words = control.signal.aborted ? "Stopped." : `No answer that a browser understands: ${error.message}`;
        answer.querySelector("p")?.remove();
        answer.append(make("p", {className: "bad", textContent: words}));
    }
    stop.hidden = true;
    stop.removeEventListener("click", end);
}

// -- The answer: status and fields at once, the body as it comes

async function show(answer, got, began) {
    const waited = Math.round(performance.now() - began);
    const status = make("h3", {textContent: `${got.status} ${got.statusText}`, className: got.ok ? "good" : "bad"});
    const where = got.redirected ? `${new URL(got.url).pathname}, ` : "";
    status.append(make("span", {className: "says", textContent: ` ${where}${waited} ms to its head`}));
    const fields = Array.from(got.headers, ([name, value]) => `${name}: ${value}`).join("\n");
    answer.replaceChildren(status, make("pre", {textContent: fields, tabIndex: 0, ariaLabel: "Fields"}));
    if (/^image\//.test(got.headers.get("Content-Type"))) {
        const image = make("img", {alt: "The picture that was sent", src: URL.createObjectURL(await got.blob())});
        answer.append(image);
        return;
    }
    const shown = make("pre", {tabIndex: 0, ariaLabel: "Body"}), summary = make("p", {className: "says"});
    answer.append(shown, summary);
    await read(got, shown, summary);
}

async function read(got, shown, summary) {
    const type = got.headers.get("Content-Type") ?? "";
    const text = /^text\/|json|xml|javascript|^multipart\//.test(type);
    const reader = got.body?.getReader(), decoder = new TextDecoder();
    let octets = 0, more = Boolean(reader);
    while (more && octets < SHOWN) {
        const {value, done} = await reader.read();
        more = !done;
        if (done)
            break;
        const piece = value.subarray(0, SHOWN - octets);
        shown.append(text ? decoder.decode(piece, {stream: true}) : hexadecimal(piece));
        octets += value.length;
        summary.textContent = counted(octets);
    }
    if (more)
        reader.cancel();
    shown.hidden = octets === 0;
    summary.textContent = counted(octets) + (more ? " and more; no more were read" : "");
}

const counted = number => `${number.toLocaleString("en")} octet${number === 1 ? "" : "s"}`;

const hexadecimal = octets => Array.from(octets, octet => octet.toString(16).padStart(2, "0")).join(" ") + " ";

// -- The keys, and the start

function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing)
        return;
    const box = by("#filter");
    if (event.key === "/" && !event.target.matches("input, textarea, select")) {
        event.preventDefault();
        box.select();
    } else if (event.key === "Escape" && event.target === box) {
        box.value = "";
        filter();
    }
}

document.addEventListener("DOMContentLoaded", () => {
    const box = by("#filter");
    box.hidden = false;
    box.addEventListener("input", filter);
    document.addEventListener("keydown", press);
    for (const form of all("form")) {
        form.hidden = false;
        form.addEventListener("submit", event => {
            event.preventDefault();
            ask(form);
        });
    }
    if (box.value)          // which the browser has kept
        filter();
});

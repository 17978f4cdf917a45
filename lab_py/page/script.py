"""What moves on the page: one hop at a time, told by the address (`#hop=3`), buttons, keys, or a clock [pure]."""

SCRIPT = """
"use strict";
const one = (query) => document.querySelector(query), all = (query) => [...document.querySelectorAll(query)];
const articles = all("article"), numbers = articles.map((article) => article.dataset.hop);
const dot = one(".dot"), play = one("#play"), still = matchMedia("(prefers-reduced-motion: reduce)");
const STEP = 2600, TRAVEL = 1400;
let at = 0, timer = 0, frame = 0, moved = false;

function show(index) {
  at = Math.max(0, Math.min(index, numbers.length - 1));
  articles.forEach((article, number) => { article.hidden = number !== at; });
  all("[data-go]").forEach((button) => {
    if (button.dataset.go === numbers[at]) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
  const passed = numbers.slice(0, at);
  all(".chip").forEach((chip) => {
    const hops = chip.dataset.hops.split(" ");
    chip.classList.toggle("active", hops.includes(numbers[at]));
    chip.classList.toggle("passed", passed.some((number) => hops.includes(number)));
  });
  all(".leg").forEach((leg, number) => {
    leg.classList.toggle("active", number === at);
    leg.classList.toggle("passed", number < at);
  });
  one("#previous").disabled = at === 0;
  one("#next").disabled = at === numbers.length - 1;
  history.replaceState(null, "", "#hop=" + numbers[at]);
  bring_into_view();
  travel(all(".leg")[at]);
  moved = true;
}

function bring_into_view() {
  const figure = one("figure"), around = figure.getBoundingClientRect();
  const boxes = all(".chip.active").map((chip) => chip.getBoundingClientRect());
  if (!boxes.length) return;
  const top = Math.min(...boxes.map((box) => box.top)), bottom = Math.max(...boxes.map((box) => box.bottom));
  const away = (top + bottom) / 2 - (around.top + Math.min(around.bottom, innerHeight)) / 2;
  figure.scrollTo({ top: figure.scrollTop + away, behavior: still.matches || !moved ? "instant" : "smooth" });
}

function travel(leg) {
  cancelAnimationFrame(frame);
  const length = leg.getAttribute("d") ? leg.getTotalLength() : 0;
  const place = (share) => {
    if (!leg.getAttribute("d")) return;
    const point = leg.getPointAtLength(length * share);
    dot.setAttribute("cx", point.x);
    dot.setAttribute("cy", point.y);
  };
  if (still.matches) return place(1);
  const begin = performance.now();
  const step = (now) => {
    const share = Math.min(1, (now - begin) / TRAVEL);
    place(share);
    if (share < 1) frame = requestAnimationFrame(step);
  };
  place(0);
  frame = requestAnimationFrame(step);
}

function stop() { clearInterval(timer); timer = 0; play.textContent = "Play"; }
function toggle() {
  if (timer) return stop();
  if (at === numbers.length - 1) show(0);
  play.textContent = "Pause";
  timer = setInterval(() => { if (at === numbers.length - 1) stop(); else show(at + 1); }, STEP);
}
function go(index) { stop(); show(index); }
function fromAddress() {
  const found = numbers.indexOf((/^#hop=(.+)$/.exec(location.hash) || [])[1]);
  show(found < 0 ? 0 : found);
}

one("#previous").onclick = () => go(at - 1);
one("#next").onclick = () => go(at + 1);
play.onclick = toggle;
all(".chip").forEach((chip) => {
  const first = chip.dataset.hops.trim().split(" ")[0];
  if (first) chip.onclick = () => go(numbers.indexOf(first));
});
all("[data-go]").forEach((button) => { button.onclick = () => go(numbers.indexOf(button.dataset.go)); });
addEventListener("hashchange", fromAddress);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("pre")) return;
  const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: numbers.length - 1 };
  if (event.key in keys) { event.preventDefault(); go(keys[event.key]); }
  else if (event.key === " " && !event.target.closest("button")) { event.preventDefault(); toggle(); }
});
if (numbers.length) fromAddress();
"""

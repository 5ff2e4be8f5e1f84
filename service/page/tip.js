/** The one tooltip: lines of words and numbers beside the pointer. Everything in it can also be read elsewhere. */
import { find, html } from "./dom.js";

const GAP = 14;

export function showTip(event, lines) {
  const tip = find("#tip");
  if (!lines?.length) return hideTip();
  tip.replaceChildren(...lines.map((line) => html("div", {}, ...[line].flat())));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + GAP, innerWidth - width - 6);
  const y = event.clientY + GAP + height > innerHeight ? event.clientY - height - GAP : event.clientY + GAP;
  tip.style.left = `${Math.max(6, x)}px`;
  tip.style.top = `${Math.max(6, y)}px`;
}

export function hideTip() {
  find("#tip").hidden = true;
}

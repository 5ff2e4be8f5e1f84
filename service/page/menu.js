/** The menu of a view: its requests as curl and Python, its picture, a permalink, and the certificate. */
import { find, html, replace } from "./dom.js";
import { icon } from "./icons.js";
import { number } from "./numbers.js";
import { curl, python, savePng, saveSvg } from "./save.js";
import { phrase, words } from "./words.js";

/** The button of a view. `entry` has the view's name, part and questions, found when the menu opens. */
export function menuButton(title, entry) {
  return html(
    "button",
    {
      type: "button", class: "menu-button quiet", "aria-haspopup": "menu", "aria-label": words("menu", { view: title }),
      "data-focus": `menu-${title}`, click: (event) => open(event.currentTarget, entry()),
    }, // prettier-ignore
    icon("more"),
  );
}

function open(button, { name, part, questions, hasKey }) {
  const menu = find("#menu");
  const view = button.closest(".view");
  const close = () => menu.hidePopover();
  const item = (key, act) => html("button", { type: "button", role: "menuitem", click: () => act() }, words(key));
  const copy = (text) => () => copied(text, close);
  const all = (write) => questions.map((question) => write(question, hasKey())).join("\n\n");
  replace(
    menu,
    ...badge(part),
    item("copy_curl", copy(all(curl))),
    item("copy_python", copy(all(python))),
    item("copy_link", copy(location.href)),
    item("save_svg", () => (saveSvg(view, name), close())),
    item("save_png", () => savePng(view, name).then(close)),
    html("textarea", { class: "copied", readonly: true, hidden: true, "aria-label": words("copy_failed") }),
  );
  menu.showPopover();
  const area = button.getBoundingClientRect();
  menu.style.left = `${Math.max(6, Math.min(area.left, innerWidth - menu.offsetWidth - 6))}px`;
  menu.style.top = `${Math.max(6, Math.min(area.bottom + 4, innerHeight - menu.offsetHeight - 6))}px`;
  menu.querySelector("[role=menuitem]").focus();
  menu.onkeydown = (event) => walk(menu, event);
  menu.ontoggle = (event) => event.newState === "closed" && button.focus({ preventScroll: true });
}

function walk(menu, event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
}

async function copied(text, close) {
  const isAllowed = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  announce(words(isAllowed ? "copied" : "copy_failed"));
  if (isAllowed) return close();
  const area = find("#menu .copied");
  area.hidden = false;
  area.value = text;
  area.select();
}

/** What says that the numbers are the weights' own. */
export function badge(part) {
  if (!part?.certificate) return [];
  const from = `inspect:${part.model.name}/certificate/recurrence_max_abs_error`;
  const error = number(part.certificate.recurrence_max_abs_error, from, "power", 0);
  return [html("p", { class: "badge" }, "✓ ", ...phrase("certified", { error }))];
}

/** For screen readers, and as a line at the foot of the page. */
export function announce(text) {
  find("#announced").textContent = text;
}

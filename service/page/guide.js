/** The tour's card: what the page shows now, and the way on. */
import { find, html, replace } from "./dom.js";
import { encode } from "./permalink.js";
import { INITIAL } from "./store.js";
import { tourOf } from "./tour.js";
import { words } from "./words.js";

/** Goes to a step of the tour, or ends it with null. */
export function showTour(store, step) {
  if (step === null) return store.set({ tour: null });
  const { lang, theme } = store.get();
  const { focus, ...rest } = tourOf(lang)[step];
  store.set({ ...INITIAL, lang, theme, ...rest, tour: step });
}

export function drawTour(state, act) {
  const card = find("#tour-card");
  card.hidden = state.tour === null;
  if (state.tour === null) return;
  const stops = tourOf(state.lang);
  const step = Math.min(state.tour, stops.length - 1);
  const go = (to) => () => showTour({ get: () => state, set: act.set }, to);
  const button = (key, to, isOff) => html("button", { type: "button", "data-focus": key, disabled: isOff, click: go(to) }, words(key));
  const { focus, ...rest } = stops[step];
  const link = encode({ ...INITIAL, lang: state.lang, ...rest, tour: step });
  card.setAttribute("aria-label", words("tour"));
  replace(
    card,
    html("p", { class: "count" }, html("a", { href: link }, words("tour_step", { step: step + 1, steps: stops.length }))),
    html("h2", {}, words(`tour_${step + 1}`)),
    html("p", {}, words(`tour_${step + 1}_text`)),
    html("div", { class: "row" }, button("tour_back", step - 1, step === 0), button("tour_next", step + 1, step === stops.length - 1), button("tour_end", null, false)),
  ); // prettier-ignore
}

/** Marks the view that this step of the tour speaks of. */
export function pointAt(state) {
  for (const view of document.querySelectorAll(".pointed-at")) view.classList.remove("pointed-at");
  if (state.tour === null) return;
  const { focus } = tourOf(state.lang)[state.tour] ?? {};
  const views = document.querySelectorAll(`.lane[data-view="${focus}"], #card-${focus}`);
  for (const view of views) view.classList.add("pointed-at");
}

/** Gates by hand: a slider for each token's forget gate; what was set stays until it is undone. */
import { drawing, svg } from "../dom.js";
import { fixed } from "../numbers.js";
import { words } from "../words.js";

const HEIGHT = 56;
const SNAP = 0.06;

export const scopeOf = (state) => (state.unit === null ? "all" : [state.unit]);

/** The forget gate as it was computed (a mean where all units are edited), and as it is set by hand. */
function gateAt(frame, t) {
  const { part, state } = frame;
  const edit = state.edits.findLast((e) => e.target === "forget_gate" && e.timesteps.includes(t));
  const units = state.unit === null ? frame.units : [state.unit];
  const values = units.map((u) => part.tensors.at("forget_gate", t, u)).filter((value) => value !== undefined);
  const computed = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  return { computed, value: edit?.value ?? computed, isSet: Boolean(edit) };
}

export function editOf(frame, t, value) {
  const { layer, direction, state } = frame;
  return { target: "forget_gate", layer, direction, timesteps: [t], units: scopeOf(state), op: "set", value };
}

const snapped = (value) => (value < SNAP ? 0 : value > 1 - SNAP ? 1 : Math.round(value * 100) / 100);

export function draw(frame, onEdit) {
  const { axis } = frame;
  const picture = drawing(axis.width, HEIGHT + 6, words("edit_help"), "group");
  const y = (value) => 3 + (1 - value) * HEIGHT;
  picture.append(svg("line", { x1: 2, x2: axis.width - 10, y1: y(1), y2: y(1), class: "axis" }));
  picture.append(svg("line", { x1: 2, x2: axis.width - 10, y1: y(0), y2: y(0), class: "axis" }));
  for (const t of axis.timesteps) picture.append(slider(frame, t, y, onEdit));
  return [picture];
}

function slider(frame, t, y, onEdit) {
  const { axis } = frame;
  const { computed, value, isSet } = gateAt(frame, t);
  const bar = svg("rect", { x: axis.left(t) + 3, width: axis.span(t) - 6, rx: 3, class: `hand${isSet ? " set" : ""}` });
  const grow = (to) => {
    bar.setAttribute("y", y(to));
    bar.setAttribute("height", Math.max(2, y(0) - y(to)));
  };
  grow(value);
  const was = { x1: axis.left(t) + 3, x2: axis.right(t) - 3, y1: y(computed), y2: y(computed), class: "computed" };
  const set = (to) => onEdit(editOf(frame, t, snapped(to)));
  const group = svg(
    "g",
    {
      class: "gate-slider", role: "slider", tabindex: t === frame.step ? 0 : -1, "data-t": t, "data-focus": `edit-${t}`,
      "aria-label": words("edit_slider", { token: frame.tokens[t].text, value: fixed(computed) }),
      "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": value.toFixed(2),
      keydown: (event) => {
        const to = { ArrowUp: value + 0.1, ArrowDown: value - 0.1, Home: 0, End: 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        set(Math.max(0, Math.min(1, to)));
      },
    }, // prettier-ignore
    svg("rect", { x: axis.left(t), y: 0, width: axis.span(t), height: HEIGHT + 6, class: "hit" }),
    bar,
    svg("line", was),
  );
  dragging(group, (share) => grow(share), set);
  return group;
}

/** Pointer heights as shares of the slider, while it is dragged and when it is let go. */
function dragging(group, onDrag, onDrop) {
  const share = (event) => {
    const area = group.getBoundingClientRect();
    return Math.max(0, Math.min(1, 1 - (event.clientY - area.top - 3) / HEIGHT));
  };
  let held = null;
  group.addEventListener("pointerdown", (event) => {
    held = share(event);
    group.setPointerCapture(event.pointerId);
    event.stopPropagation();
    event.preventDefault();
    group.focus({ preventScroll: true });
    onDrag(held);
  });
  group.addEventListener("pointermove", (event) => {
    if (held === null) return;
    held = share(event);
    onDrag(held);
  });
  group.addEventListener("pointerup", () => {
    if (held === null) return;
    const value = held;
    held = null;
    onDrop(value);
  });
}

/** The states before a step set to zero: what follows is as if the text began there. */
export function forgetBefore({ model, layer, direction }, t) {
  const zero = (target) => ({ target, layer, direction, timesteps: [t - 1], units: "all", op: "zero" });
  return model.cell === "lstm" ? [zero("cell_state"), zero("hidden_state")] : [zero("hidden_state")];
}

/** A gate's sum of one unit at one step, term by term, down to the weights. */
import { html } from "../dom.js";
import { number } from "../numbers.js";
import { words } from "../words.js";

const SHOWN = 8;

/** The table of one gate's terms, from the answer of `units/.../sum`. */
export function table(answer, gate, from, onClose) {
  const sum = answer.sums[gate];
  const path = `${from}/sums/${gate}`;
  const row = (name, value, place) =>
    html("tr", {}, html("th", { scope: "row", colspan: 3 }, name), html("td", {}, number(value, place, "signed", 3)));
  const squashed = words("sum_squashed", { name: gate === "cell_gate" || gate === "hidden_state" ? "tanh" : "σ" });
  return html(
    "section",
    { class: "sum", "aria-label": words("sum_title", { name: words(gate), unit: answer.unit }) },
    html(
      "h3",
      {},
      words("sum_title", { name: words(gate), unit: answer.unit }),
      html("button", { class: "quiet", type: "button", click: onClose, "aria-label": words("sum_close") }, "×"),
    ),
    html(
      "table",
      {},
      html(
        "tbody",
        {},
        row(words("sum_bias"), sum.bias, `${path}/bias`),
        row(words("sum_input", { count: sum.input.weights.length }), sum.input.total, `${path}/input/total`),
        row(words("sum_state", { count: sum.state.weights.length }), sum.state.total, `${path}/state/total`),
        row(words("sum_total"), sum.preactivation, `${path}/preactivation`),
        row(squashed, sum.value, `${path}/value`),
      ),
    ),
    terms(sum, path),
  );
}

function terms(sum, path) {
  const all = ["input", "state"].flatMap((source) =>
    sum[source].weights.map((weight, n) => ({ source, n, weight, value: sum[source].values[n], product: weight * sum[source].values[n] })),
  ); // prettier-ignore
  all.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const rest = all.slice(SHOWN);
  const heads = ["", "weight", "value", "product"].map((key) => html("th", { scope: "col" }, key && words(key)));
  const rows = all.slice(0, SHOWN).map(({ source, n, weight, value, product }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, `${words(`of_${source}`)}[${n}]`),
      html("td", {}, number(weight, `${path}/${source}/weights/${n}`, "signed", 3)),
      html("td", {}, number(value, `${path}/${source}/values/${n}`, "signed", 3)),
      html("td", {}, number(product, "product", "signed", 3)),
    ),
  );
  const left = rest.reduce((total, { product }) => total + product, 0);
  rows.push(
    html(
      "tr",
      {},
      html("th", { scope: "row", colspan: 3 }, words("sum_rest", { count: rest.length })),
      html("td", {}, number(left, "product", "signed", 3)),
    ),
  );
  const caption = html("caption", {}, words("sum_largest"));
  return html("table", {}, caption, html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...rows));
}

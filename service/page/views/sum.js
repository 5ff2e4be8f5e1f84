/** A gate's sum of one unit at one step, term by term, down to the weights. */
import { html } from "../dom.js";
import { number } from "../numbers.js";
import { words } from "../words.js";

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
        row(words("sum_input", { count: sum.input.count }), sum.input.total, `${path}/input/total`),
        row(words("sum_state", { count: sum.state.count }), sum.state.total, `${path}/state/total`),
        row(words("sum_total"), sum.preactivation, `${path}/preactivation`),
        row(squashed, sum.value, `${path}/value`),
      ),
    ),
    terms(sum, path),
  );
}

function terms(sum, path) {
  const all = ["input", "state"].flatMap((source) =>
    sum[source].largest.map((term, n) => ({ ...term, name: `${words(`of_${source}`)}[${term.index}]`, from: `${path}/${source}/largest/${n}` })),
  ); // prettier-ignore
  all.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const cell = (value, from) => html("td", {}, number(value, from, "signed", 3));
  const rows = all.map(({ name, from, weight, value, product }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, name),
      cell(weight, `${from}/weight`),
      cell(value, `${from}/value`),
      cell(product, `${from}/product`),
    ),
  );
  for (const source of ["input", "state"]) {
    const { count, largest, rest } = sum[source];
    const name = `${words(`of_${source}`)}: ${words("sum_rest", { count: count - largest.length })}`;
    rows.push(html("tr", {}, html("th", { scope: "row", colspan: 3 }, name), cell(rest, `${path}/${source}/rest`)));
  }
  const heads = ["", "weight", "value", "product"].map((key) => html("th", { scope: "col" }, key && words(key)));
  const caption = html("caption", {}, words("sum_largest"));
  return html("table", {}, caption, html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...rows));
}

/** Which models belong together, and which one the page begins with. */

/** The other half of a controlled pair, `*-rnn` and `*-lstm`; null where it is not loaded. */
export function counterpart(model, models) {
  const other = model.name.endsWith("-rnn") ? model.name.replace(/-rnn$/, "-lstm") : model.name.replace(/-lstm$/, "-rnn");
  return other === model.name ? null : (models.find(({ name }) => name === other) ?? null);
}

/** What a label is called: its name where the model has one and the page speaks the model's language. */
export const labelName = (model, label, lang) => (model.language === lang ? model.label_names?.[label] : null) ?? label;

/** [RNN, LSTM] */
export const pairOf = (model, other) => (model.cell === "rnn" ? [model, other] : [other, model]);

/** A forward LSTM classifier of the language, for the belt shows most there; else the server's default. */
export function startModel(models, language) {
  const isBelt = (model) => model.cell === "lstm" && model.streamable && model.task === "text-classification";
  return (
    models.find((model) => isBelt(model) && model.language === language && counterpart(model, models)) ??
    models.find((model) => isBelt(model) && model.language === language) ??
    models.find((model) => model.default) ??
    models[0]
  );
}

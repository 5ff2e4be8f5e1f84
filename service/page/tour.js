/** Six steps that retell the lecture on the live model; each is a permalink, so that it can be sent on its own. */

const TEXT = {
  zh: "酒店服务一点也不好，房间很脏，但是位置不错。",
  en: "The room was not bad at all, but the service was slow and rude.",
};
const forget = { target: "forget_gate", layer: 0, direction: "forward", units: "all", op: "set", value: 0 };
const LATE = { zh: [10], en: [12] }; // where the last step forgets

/** The pages of the tour in a language; what a page does not name is as at the start. */
export function tourOf(lang) {
  const text = TEXT[lang];
  const [rnn, lstm] = [`${lang}-sentiment-rnn`, `${lang}-sentiment-lstm`];
  return [
    { model: rnn, text, step: 0, gates: false, focus: "reading" },
    { model: lstm, text, compare: true, gates: false, focus: "influence" },
    { model: lstm, text, gates: false, focus: "belt" },
    { model: lstm, text, focus: "forget_gate" },
    { model: lstm, text, gates: false, focus: "cell" },
    { model: lstm, text, gates: false, editing: true, edits: [{ ...forget, timesteps: LATE[lang] }], step: LATE[lang][0], focus: "edit" },
  ]; // prettier-ignore
}

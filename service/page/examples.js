/** Sentences that make a point, by language and task. */
export const EXAMPLES = {
  zh: {
    "text-classification": [
      "酒店服务一点也不好，房间很脏，但是位置不错。",
      "一点也不好",
      "房间很干净，服务一点也不差",
      "开头说得好听，住下来才知道隔音差、设备旧，早餐也不怎么样",
    ],
    "token-classification": [
      "中国女排在北京战胜了巴西队，郎平说这场比赛并不轻松。",
      "郎平出生在天津，后来去了美国；多年以后，还是她带着女排回到了北京。",
    ],
  },
  en: {
    "text-classification": [
      "The room was not bad at all, but the service was slow and rude.",
      "It's not bad.",
      "Not bad at all, in fact it is one of the best films of the year.",
      "A dull film that no amount of charm can save, however long it goes on about its characters.",
    ],
    "token-classification": [
      "John Smith from Google doesn't live in London.",
      "Washington spoke first; years later the city of Washington was named after him.",
    ],
  },
};

/** The examples for a model; for a language that has none, none. */
export const examplesFor = (model) => EXAMPLES[model.language]?.[model.task] ?? [];

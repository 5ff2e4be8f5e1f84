"""The words of tables and pictures that the page makes itself, in both languages; its prose is in the templates."""

from service.pictures.words import Language

SUFFIX: dict[Language, str] = {"en": "", "zh": ".zh-CN"}  # of the page's, the template's and the pictures' names

_CHINESE: dict[str, str] = {
    "accuracy": "准确率",
    "accuracy, or entity F1": "准确率（NER 为实体 F1）",
    "after one": "否定词的后一个词",
    "at {}": "距离 {}",
    "belt": "传送带",
    "beyond float64": "超出 float64",
    "cell": "网络",
    "chance": "随机猜测",
    "count": "个数",
    "distance to the last token": "与最后一个词的距离",
    "does not fade": "不衰减",
    "feed-forward, as many products": "前馈网络，乘法次数相同",
    "feed-forward, ms": "前馈，毫秒",
    "first": "实体首词",
    "forget_gate": "遗忘门",
    "gap in tokens": "间隔（词数）",
    "gap {}": "间隔 {}",
    "gaps of any length": "任意长度的间隔",
    "gaps that grow": "逐渐变长的间隔",
    "half-life, tokens": "半衰期（词）",
    "input_gate": "输入门",
    "inside": "实体内部",
    "just after": "实体后一个词",
    "LSTM, ms": "LSTM，毫秒",
    "LSTM": "LSTM",
    "LSTM − RNN": "LSTM − RNN",
    "median gradient norm": "梯度范数的中位数",
    "model": "模型",
    "negation": "否定词",
    "other": "其他",
    "output_gate": "输出门",
    "outside": "实体之外",
    "pair": "模型对",
    "RNN": "RNN",
    "place": "位置",
    "ratio": "比值",
    "ratio, {} texts": "比值，{} 条文本",
    "texts": "文本数",
    "timesteps T": "时间步数 T",
    "tokens": "词数",
    "trained on": "训练所用",
    "training step, ms": "一步训练的时间，毫秒",
    "The short form of this page times nothing.": "本页的简短形式不计时。",
    "Accuracy or entity F1 by length of text, for each pair": "每对模型的准确率或实体 F1，按文本长度",
    "A Chinese hotel review, each character shaded by what it gave to the label": "一条酒店评论，每个字按其贡献着色",
    "Every gate of every unit over an English sentence with a negation": "一个英文否定句上每个单元的每个门",
    "Median gradient norm against distance, for each RNN and LSTM pair": "每对 RNN 与 LSTM 的梯度范数中位数与距离",
    "Share of symbols named against the gap, RNN and LSTM": "RNN 与 LSTM 说对符号的比例随间隔的变化",
    "The answer's gradient by each token, against its distance": "答案对每个词的梯度随距离的变化",
    "The LSTM cell at one step, the step's numbers on every wire": "LSTM 细胞的一步，每条线上标着这一步的数值",
    "Time of a training step against T, recurrent and feed-forward": "一步训练的时间随 T 的变化，循环网络与前馈网络",
    "What each token keeps of each earlier one, on the belt": "读到每个词时，传送带上此前每个词还剩多少",
}


def say(words: str, language: Language, *numbers: object) -> str:
    """The words in the language asked, with the numbers in their places. Raises: KeyError, what has no Chinese yet."""
    return (_CHINESE[words] if language == "zh" else words.replace("_", " ")).format(*numbers)

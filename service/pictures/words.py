"""The words on pictures, in English and Chinese, and under each view the sentence that says what it shows."""

from typing import Literal

Language = Literal["en", "zh"]

WORDS: dict[str, str] = {
    "input_gate": "输入门 i",
    "forget_gate": "遗忘门 f",
    "cell_gate": "候选值 g",
    "output_gate": "输出门 o",
    "cell_state": "细胞状态 c",
    "hidden_state": "隐藏状态 h",
    "token": "词",
    "unit": "单元",
    "read at token t": "读到第 t 个词时",
    "kept from token s": "仍保留的第 s 个词",
    "retention, mean over units": "保留率（单元平均）",
    "contribution to the logit": "对 logit 的贡献",
    "distance to the last token": "与最后一个词的距离",
    "gradient norm": "梯度范数",
    "half-life": "半衰期",
    "tokens": "个词",
    "share of timesteps below 0.1": "低于 0.1 的时间步占比",
    "share of timesteps above 0.9": "高于 0.9 的时间步占比",
    "fit": "拟合",
    "bias": "偏置",
    "inflation": "膨胀度",
    "target": "目标",
    "unit of the cell": "单元",
    "step": "时间步",
    "of": "，共",
    "layer": "层",
    "forward": "前向",
    "reverse": "反向",
    "logit": "logit",
    "shown": "显示",
    "characters": "字符",
    "sum": "合计",
    "gate, 0 shut, 1 open": "门：0 关，1 开",
    "value": "数值",
    "not shown": "未显示",
}

SENTENCES: dict[str, dict[Language, str]] = {
    "highlight": {
        "en": "Orange tokens speak for the label and purple ones against it; the deeper the colour, the "
        "more they weigh.",
        "zh": "橙色的词支持这个标签，紫色的词反对它；颜色越深，分量越重。",
    },
    "gates": {
        "en": "A row is a unit and a column a token: where the forget gate is bright the cell keeps what it holds, "
        "where it is dark the cell lets go.",
        "zh": "每行是一个单元，每列是一个词：遗忘门亮处，细胞保留所存的内容；暗处则放掉。",
    },
    "memory": {
        "en": "Read along a row: how much of what each earlier token left in the cell is still there when the row's "
        "token has been read.",
        "zh": "沿一行看：读到该行的词时，此前每个词留在细胞里的内容还剩多少。",
    },
    "attribution": {
        "en": "A bar upwards speaks for the label, a bar downwards against it; its height is how much of the logit "
        "the token accounts for.",
        "zh": "向上的柱支持这个标签，向下的柱反对它；高度表示该词在 logit 中占多少。",
    },
    "fading": {
        "en": "How strongly the answer still hangs on a token, against how many tokens ago it was read; a straight "
        "line down is forgetting by half every half-life.",
        "zh": "答案对某个词的依赖程度，随它是多少个词之前读到的而变化；直线下降表示每过一个半衰期减少一半。",
    },
    "saturation": {
        "en": "A dot is a unit: at the top left its gate is nearly always open, at the bottom right nearly always "
        "shut, at the bottom left it opens by degrees.",
        "zh": "每个点是一个单元：左上角的门几乎总是开着，右下角的几乎总是关着，左下角的则开合有度。",
    },
    "cell": {
        "en": "One unit at one step, the lecture's diagram: yellow boxes are learned layers, pink circles are products "
        "and sums, and every wire carries the number written on it.",
        "zh": "某一步中的一个单元，即讲义里的图：黄框是学到的层，粉圈是乘与加，每条线上写着流过的数。",
    },
}


def say(words: str, language: Language) -> str:
    """The words in the language asked; names that both share stay."""
    return WORDS.get(words, words) if language == "zh" else words.replace("_", " ")

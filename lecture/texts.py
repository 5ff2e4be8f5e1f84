"""Texts written for this page, so that it can be made without the data sets."""

NEGATIONS = {
    "zh": ("不", "没", "别", "未", "非"),
    "en": ("not", "n't", "never", "no", "nothing"),
}

OPINIONS = {
    "zh": (
        "房间不干净，服务员态度也不好，下次不会再来了。",
        "这本书写得很好，一点也不枯燥，孩子没看完就舍不得放下。",
        "电脑运行不慢，屏幕没有坏点，价格也不贵，非常满意。",
        "早餐没什么可吃的，隔音不行，晚上根本没法睡觉。",
        "送餐很快，味道不错，就是汤没放盐。",
        "别买这个牌子，用了三天就不能开机，客服也没人理。",
        "位置不远，环境不吵，前台没有让我们久等。",
        "内容不新，翻译不通顺，看了一半就没兴趣了。",
    ),
    "en": (
        "The film is not funny, and nothing in it ever comes to life.",
        "It is never dull, and there is no scene that I would cut.",
        "I did n't expect much, but the story was not bad at all.",
        "A beautiful picture that never finds its way and has nothing to say.",
        "The acting is not great, yet the ending does n't fail to move.",
        "No one will be bored by this warm, clever and moving comedy.",
        "There is nothing new here, and the jokes do not work.",
        "Not a perfect film, but one that you will never forget.",
    ),
}

NEWS = {
    "zh": (
        "昨天下午，李华从北京飞往上海，参加复旦大学的校庆。",
        "据新华社报道，联合国秘书长安南将于下周访问法国巴黎。",
        "中国女排在日本东京战胜了古巴队，教练陈忠和十分高兴。",
        "王建国先生在天津创办了一家工厂，产品远销美国和德国。",
    ),
    "en": (
        "Yesterday John Smith flew from London to New York for Microsoft.",
        "The United Nations said that Kofi Annan would visit Paris next week.",
        "Germany beat Brazil in Tokyo, and coach Peter Brown was happy.",
        "Mary Jones founded a company in Boston that sells to France and Japan.",
    ),
}

# One long review in each language, for the pictures of memory: only the first clause carries the opinion.
LONG = {
    "zh": "这家酒店非常糟糕。我们是坐地铁来的，出站以后走了十分钟，路上有一家书店和两家面馆，门口停着几辆出租车。",
    "en": (
        "A terrible film . We came by train , walked past a book shop and two cafes , "
        "and took our places in the third row before the lights went down ."
    ),
}

# a review in which praise and complaint alternate, for the picture of what each character gave to the label
REVIEW = (
    "酒店的位置很好，离地铁站走路五分钟，周围吃饭也方便。房间虽然不大，但是打扫得很干净，床也舒服。早餐种类一般，咖啡不好喝。"
    "前台的服务态度让人失望，办理入住等了半个小时，问什么都说不知道。晚上隔壁很吵，隔音太差了，一点也没睡好。总的来说性价比不高，下次不会再来了。"
)

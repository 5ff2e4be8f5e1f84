"""The analyses over HTTP: what they answer follows from what Inspect shows."""

import io
import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load as load_safetensors

TEXT = "酒店不错服务很好我想吃"
MODELS = [
    "tiny-zh-lstm",
    "tiny-zh-rnn",
    "tiny-zh-pooled",
    "tiny-zh-ner-lstm",
    "tiny-en-bilstm",
    "tiny-en-birnn",
    "tiny-en-ner-bilstm",
]


def ask(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def refused(client: httpx.Client, path: str, says: str, status: int = 422, **body: Any) -> None:
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == status, response.text
    assert says in response.json()["detail"]


def at(model: str, timestep: int = 2) -> dict[str, int]:
    return {"timestep": timestep} if "ner" in model else {}


@pytest.mark.parametrize("model", MODELS)
def test_complete_attributions_add_up_to_the_logit_of_predict(server: httpx.Client, model: str) -> None:
    described = server.get(f"/v1/models/{model}").json()
    for method in ["secant"] + ["cell_additive"] * (described["cell"] == "lstm"):
        one = ask(server, f"models/{model}/attribute", inputs=TEXT, method=method, **at(model))["results"][0]
        total = sum(one["contributions"]) + one["bias"]
        assert total == pytest.approx(one["logit"], abs=1e-4 * max(1, abs(one["logit"])))
        assert one["completeness_error"] == pytest.approx(abs(total - one["logit"]), abs=1e-6)
    if "ner" in model:
        return
    logits = [
        ask(server, f"models/{model}/attribute", inputs=TEXT, target=k)["results"][0]["logit"]
        for k in described["labels"]
    ]
    z = np.array(logits) / described["temperature"]
    scores = {
        x["label"]: x["score"] for x in ask(server, f"models/{model}/predict", inputs=TEXT)["results"][0]["labels"]
    }
    assert np.allclose(np.exp(z) / np.exp(z).sum(), [scores[k] for k in described["labels"]], atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_occlusion_is_the_difference_that_leaving_a_token_out_makes(server: httpx.Client, model: str) -> None:
    text = "ab cd ef gh" if "-en-" in model else "酒店不错"
    pieces = text.split() if "-en-" in model else list(text)
    one = ask(server, f"models/{model}/attribute", inputs=text, method="occlusion", **at(model, 3))["results"][0]
    assert one["bias"] is None
    if "ner" in model:
        return
    for n in range(len(pieces)):
        rest = (" " if "-en-" in model else "").join(pieces[:n] + pieces[n + 1 :])
        without = ask(server, f"models/{model}/attribute", inputs=rest, target=one["target"])["results"][0]["logit"]
        assert one["contributions"][n] == pytest.approx(one["logit"] - without, abs=2e-5)


def test_memory_is_the_product_of_the_gates_in_every_form(server: httpx.Client) -> None:
    path, body = (
        "/v1/models/tiny-en-bilstm/memory",
        {"inputs": ["a b c d e f", "a b"], "layer": 1, "direction": "reverse", "decimals": 9},
    )
    listed = server.post(path, json=body).json()["results"]
    gate = np.array(
        ask(server, "models/tiny-en-bilstm/inspect", inputs="a b c d e f", decimals=9)["results"][0]["tensors"][
            "forget_gate"
        ]["data"]
    )
    f = gate[1, 1]
    retention = np.array(listed[0]["measures"]["retention"], float)
    for t in range(6):
        for s in range(6):
            want = f[t:s].prod(0).mean() if s >= t else np.nan
            assert np.isclose(retention[t, s], want, atol=1e-6, equal_nan=True)
    for kind in ("application/vnd.safetensors", "application/x-npz"):
        raw = server.post(path, json=body, headers={"accept": kind})
        if kind.endswith("npz"):
            archive = np.load(io.BytesIO(raw.content))
            arrays, response = (
                {k: archive[k] for k in archive.files if k != "response.json"},
                json.loads(archive["response.json"]),
            )
        else:
            size = struct.unpack("<Q", raw.content[:8])[0]
            arrays, response = (
                load_safetensors(raw.content),
                json.loads(json.loads(raw.content[8 : 8 + size])["__metadata__"]["response"]),
            )
        assert set(arrays) == {f"r{n}.{m}" for n in (0, 1) for m in ("retention", "mass", "gradient_norm")}
        assert np.allclose(arrays["r0.retention"], retention, atol=1e-6, equal_nan=True)
        assert response["results"][0]["measures"]["mass"] == {"dtype": "float32", "shape": [6, 6]}
        assert response["results"][0]["fading"]["distance"] == list(range(6))


def test_a_long_text_shows_its_last_256_tokens_and_any_others_when_asked(server: httpx.Client) -> None:
    text = TEXT * 30
    shown = ask(server, "models/tiny-zh-lstm/memory", inputs=text)["results"][0]
    n = len(text)
    assert shown["selection"]["timesteps"] == list(range(n - 256, n))
    assert np.shape(shown["measures"]["retention"]) == (256, 256)
    assert len(shown["measures"]["gradient_norm"]) == len(shown["fading"]["value"]) == n
    assert shown["cost"]["values"] == 2 * 256**2 + n
    window = {"timesteps": {"start": 3, "stop": 60, "stride": 7}, "units": [2, 4]}
    part = ask(server, "models/tiny-zh-lstm/memory", inputs=text, select=window, measures=["mass"])["results"][0]
    assert part["selection"]["timesteps"] == list(range(3, 60, 7))
    assert list(part["measures"]) == ["mass"]


def test_a_matrix_over_the_budget_is_priced_and_refused(serve: Any) -> None:
    with serve(max_answer_bytes=10_000) as client:
        refused(client, "models/tiny-zh-lstm/memory", "values", 413, inputs=TEXT * 30)
        select = {"timesteps": {"start": 0, "stop": 8}}
        assert ask(client, "models/tiny-zh-lstm/memory", inputs=TEXT, select=select)["results"]


def test_what_a_cell_or_head_does_not_have_is_refused(server: httpx.Client) -> None:
    refused(server, "models/tiny-zh-rnn/memory", "gradient_norm", inputs=TEXT, measures=["retention"])
    refused(server, "models/tiny-zh-rnn/attribute", "RNN", inputs=TEXT, method="cell_additive")
    refused(server, "models/tiny-zh-lstm/attribute", "negative", inputs=TEXT, target="nobody")
    refused(server, "models/tiny-zh-lstm/attribute", "classifier", inputs=TEXT, timestep=1)
    refused(server, "models/tiny-zh-ner-lstm/attribute", "timestep", inputs=TEXT)
    refused(server, "models/tiny-zh-ner-lstm/attribute", "99", inputs=TEXT, timestep=99)
    refused(server, "models/tiny-zh-lstm/memory", "reverse", inputs=TEXT, direction="reverse")
    refused(server, "models/tiny-zh-lstm/memory", "layer", inputs=TEXT, layer=1)


def test_two_models_are_compared_in_the_order_asked(server: httpx.Client) -> None:
    names = ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-zh-ner-lstm"]
    models = ask(server, "compare", input=TEXT, models=names)["models"]
    assert [m["name"] for m in models] == names
    for m in models:
        assert len(m["fading"]["value"]) == len(m["attribution"]["contributions"]) == len(TEXT)
        alone = ask(server, f"models/{m['name']}/predict", inputs=TEXT)["results"][0]
        assert m["prediction"] == alone
    refused(server, "compare", "nobody", 404, input=TEXT, models=["tiny-zh-rnn", "nobody"])
    refused(server, "compare", "twice", input=TEXT, models=["tiny-zh-rnn"] * 2)


def test_two_texts_are_aligned_and_their_states_compared(server: httpx.Client) -> None:
    found = ask(server, "models/tiny-zh-lstm/compare", inputs=["酒店不错", "酒店很错"])
    assert found["aligned"] == [[0, 0], [1, 1], [3, 3]]
    assert found["distance"][:2] == [0, 0]
    states = [
        np.array(r["tensors"]["hidden_state"]["data"])[0, 0]
        for r in ask(server, "models/tiny-zh-lstm/inspect", inputs=["酒店不错", "酒店很错"], decimals=9)["results"]
    ]
    assert found["distance"][2] == pytest.approx(np.linalg.norm(states[0][3] - states[1][3]), abs=1e-5)


def test_the_top_of_a_unit_is_where_it_is_largest(server: httpx.Client) -> None:
    texts = [TEXT, "好"]
    top = ask(server, "models/tiny-zh-lstm/units/0/forward/3/top", inputs=texts, top_k=4)["top"]
    states = [
        np.array(r["tensors"]["hidden_state"]["data"])[0, 0, :, 3]
        for r in ask(server, "models/tiny-zh-lstm/inspect", inputs=texts, decimals=9)["results"]
    ]
    assert [round(x["value"], 5) for x in top] == [
        round(float(v), 5) for v in np.sort(np.concatenate(states))[::-1][:4]
    ]
    assert all(texts[x["input"]][x["start"] : x["end"]] == x["text"] for x in top)
    refused(server, "models/tiny-zh-lstm/units/0/forward/x/top", "unit", inputs=TEXT)
    refused(server, "models/tiny-zh-lstm/units/7/forward/0/top", "7", inputs=TEXT)


def test_an_intervention_that_changes_nothing_changes_nothing(server: httpx.Client) -> None:
    change = {"target": "forget_gate", "op": "scale", "value": 1}
    found = ask(server, "models/tiny-zh-lstm/intervene", input=TEXT, interventions=[change])
    assert found["delta_logits"] == [0, 0, 0]
    assert found["baseline"] == found["intervened"]
    refused(
        server,
        "models/tiny-zh-lstm/intervene",
        "units",
        input=TEXT,
        interventions=[],
        sweep={"over": "units", "units": [1], "target": "hidden_state", "op": "zero"},
    )


@pytest.mark.parametrize("kind", ["image/png", "image/svg+xml"])
@pytest.mark.parametrize(
    ("model", "view", "more"),
    [
        ("tiny-zh-lstm", "gates", {"units": [0, 3], "timesteps": {"start": 1, "stop": 4}}),
        ("tiny-en-birnn", "gates", {"direction": "reverse", "layer": 1}),
        ("tiny-zh-lstm", "memory", {}),
        ("tiny-zh-ner-lstm", "attribution", {"timestep": 1}),
        ("tiny-zh-rnn", "attribution", {"target": "neutral"}),
        ("tiny-zh-rnn", "fading", {}),
        ("tiny-en-bilstm", "saturation", {}),
        ("tiny-zh-lstm", "cell", {"timestep": 0}),
        ("tiny-en-birnn", "cell", {"timestep": 1, "direction": "reverse"}),
    ],
)
def test_every_view_is_drawn_in_both_languages(
    server: httpx.Client, model: str, view: str, more: dict[str, Any], kind: str
) -> None:
    drawn = set()
    for language in ("en", "zh"):
        body = {"input": "酒店 $x_1^2$ \u0000 <b> 不错", "view": view, "language": language, **more}
        response = server.post(f"/v1/models/{model}/render", json=body, headers={"accept": kind})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith(kind)
        assert response.content.startswith(b"\x89PNG\r\n\x1a\n" if kind == "image/png" else b"<?xml")
        drawn.add(response.content)
    assert len(drawn) == 2


def test_a_picture_of_what_is_not_there_is_refused(server: httpx.Client) -> None:
    for body, says in (
        ({"view": "memory"}, "use fading, highlight"),
        ({"view": "saturation"}, "no gates"),
        ({"view": "cell"}, "timestep"),
        ({"view": "fading", "layer": 0}, "layer"),
        ({"view": "cell", "timestep": 99}, "99"),
        ({"view": "gates", "units": [99]}, "99"),
    ):
        refused(server, "models/tiny-zh-rnn/render", says, input=TEXT, **body)
    response = server.post(
        "/v1/models/tiny-zh-rnn/render", json={"input": TEXT, "view": "gates"}, headers={"accept": "text/html"}
    )
    assert response.status_code == 406


@pytest.mark.parametrize("model", MODELS)
def test_the_sum_behind_a_gate_adds_up_to_what_inspect_shows(server: httpx.Client, model: str) -> None:
    inspected = ask(server, f"models/{model}/inspect", inputs=TEXT, decimals=9)["results"][0]
    answer = ask(server, f"models/{model}/units/0/forward/3/sum", input=TEXT, timestep=0, terms=2)
    assert answer["unit"] == 3
    assert answer["token"] == inspected["token_list"][0]
    for gate, found in answer["sums"].items():
        assert found["value"] == pytest.approx(inspected["tensors"][gate]["data"][0][0][0][3], abs=3e-6)
        assert len(found["input"]["largest"]) == 2
        products = [term["product"] for part in ("input", "state") for term in found[part]["largest"]]
        whole = sum(products) + found["input"]["rest"] + found["state"]["rest"] + found["bias"]
        assert whole == pytest.approx(found["preactivation"], abs=1e-9)


def test_a_step_that_the_text_has_not_has_no_sum(server: httpx.Client) -> None:
    path = "models/tiny-zh-lstm/units/0/forward/3/sum"
    refused(server, path, "the text has 11: 0 to 10 are allowed", input=TEXT, timestep=11)
    refused(server, "models/tiny-zh-lstm/units/7/forward/0/sum", "layer is 7", input=TEXT, timestep=0)
    refused(server, "models/tiny-zh-lstm/units/0/reverse/0/sum", "reverse", input=TEXT, timestep=0)
    refused(server, "models/tiny-zh-lstm/units/0/forward/99/sum", "units is [99]", input=TEXT, timestep=0)

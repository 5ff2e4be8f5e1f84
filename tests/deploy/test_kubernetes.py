"""deploy/kubernetes.yaml and deploy/kserve.yaml against the published schemas, the Dockerfile and the settings."""

import re
from typing import Any

import pytest

from service.settings import PREFIX, Settings, unknown_variables

from .conftest import DEPLOY, ROOT, documents, values
from .strictly import validate

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
KINDS = {
    "kubernetes.yaml": {
        "Deployment": "V1Deployment",
        "Service": "V1Service",
        "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
        "PodDisruptionBudget": "V1PodDisruptionBudget",
        "NetworkPolicy": "V1NetworkPolicy",
    },
    "kserve.yaml": {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"},
}
POD = documents("kubernetes.yaml")["Deployment"]["spec"]["template"]["spec"]
RUNTIME = documents("kserve.yaml")["ServingRuntime"]["spec"]
CONTAINERS = {"kubernetes": POD["containers"][0], "kserve": RUNTIME["containers"][0]}
PODS = {"kubernetes": POD, "kserve": RUNTIME}
each = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


@pytest.mark.parametrize("name", KINDS)
def test_every_object_is_one_of_the_published_schemas(name: str) -> None:
    found = documents(name)
    assert set(found) == set(KINDS[name])
    for kind, document in found.items():
        validate(document, KINDS[name][kind])


@pytest.mark.parametrize("name", KINDS)
def test_a_field_that_is_misspelt_is_found(name: str) -> None:
    kind, document = next(iter(documents(name).items()))
    container = _containers(document)[0]
    container["readinessprobe"] = container.pop("readinessProbe")
    with pytest.raises(ValueError, match="readinessprobe is no field of V1Container"):
        validate(document, KINDS[name][kind])


def test_kubernetes_own_schemas_agree() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in documents("kubernetes.yaml").values():
        kubernetes_validate.validate(document, "1.32", strict=True)  # the oldest that preStop's `sleep` is steady in


def _containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    spec = document["spec"]
    found: list[dict[str, Any]] = spec.get("template", {}).get("spec", spec)["containers"]
    return found


@each
def test_variables_are_settings_and_are_read(container: dict[str, Any]) -> None:
    names = [variable["name"] for variable in container["env"]]
    assert unknown_variables(dict.fromkeys(names, "")) == []
    plain = {name.removeprefix(PREFIX).lower(): value for name, value in values(container).items()}
    Settings(**plain)  # type: ignore[arg-type]
    assert "GATESCOPE_STATE_KEY" in names


@each
def test_ports_are_those_of_the_image_and_the_probes(container: dict[str, Any]) -> None:
    (port,) = container["ports"]
    number = port["containerPort"]
    assert f"EXPOSE {number}" in DOCKERFILE
    assert values(container)["GATESCOPE_PORT"] == str(number)
    assert values(container)["GATESCOPE_HOST"] == "0.0.0.0"
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name in container:
            assert container[name]["httpGet"]["port"] in (port.get("name"), number)


@each
def test_probes_ask_routes_that_infer_nothing(container: dict[str, Any]) -> None:
    live, ready = (container[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe"))
    assert (live, ready) in (("/health/live", "/health/ready"), ("/v2/health/live", "/v2/health/ready"))
    assert container["livenessProbe"]["failureThreshold"] * container["livenessProbe"]["periodSeconds"] >= 30


@each
def test_the_container_is_as_hard_as_the_image_allows(container: dict[str, Any]) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    pod = POD["securityContext"] if container is CONTAINERS["kubernetes"] else {}
    security = pod | container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == int(user[1])
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert set(container["resources"]) == {"requests", "limits"}


@pytest.mark.parametrize("name", PODS)
def test_what_is_written_can_be_written(name: str) -> None:
    """The root is read-only: the image's working folder, where matplotlib keeps its cache, is a volume."""
    folder = re.search(r"^WORKDIR (/tmp)$", DOCKERFILE, re.MULTILINE)
    assert folder is not None
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINERS[name]["volumeMounts"]}
    volumes = {volume["name"] for volume in PODS[name]["volumes"]}
    assert mounts == {"temporary": folder[1]}
    assert set(mounts) == volumes


def test_the_grace_period_holds_pre_stop_drain_and_the_longest_request() -> None:
    container = CONTAINERS["kubernetes"]
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    settings = Settings()
    drain_ms = int(values(container)["GATESCOPE_DRAIN_MS"])
    assert POD["terminationGracePeriodSeconds"] >= pause_s + (drain_ms + settings.deadline_ms) / 1000 + 5
    ready = container["readinessProbe"]
    assert drain_ms >= 1000 * ready["periodSeconds"]  # a probe sees that readiness is off


def test_a_service_of_this_name_does_not_set_the_port() -> None:
    """Kubernetes would set GATESCOPE_PORT=tcp://... in each pod beside a Service that is called gatescope."""
    assert documents("kubernetes.yaml")["Service"]["metadata"]["name"] == "gatescope"
    assert POD["enableServiceLinks"] is False


def test_selectors_and_names_find_each_other() -> None:
    found = documents("kubernetes.yaml")
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    scaled = found["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    assert "replicas" not in found["Deployment"]["spec"]  # each `apply` would set them back
    assert scaled["minReplicas"] > found["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    port = CONTAINERS["kubernetes"]["ports"][0]["name"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port
    assert found["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == port


def test_kserve_finds_its_runtime_and_its_weights() -> None:
    found = documents("kserve.yaml")
    model = found["InferenceService"]["spec"]["predictor"]["model"]
    runtime = found["ServingRuntime"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in RUNTIME["protocolVersions"]
    assert model["modelFormat"] in [
        {name: format_[name] for name in ("name", "version")} for format_ in RUNTIME["supportedModelFormats"]
    ]
    assert CONTAINERS["kserve"]["name"] == "kserve-container"  # whose arguments and mounts KServe completes
    assert CONTAINERS["kserve"]["args"] == ["serve", "--weights", "/mnt/models"]
    assert 'ENTRYPOINT ["gatescope"]' in DOCKERFILE


def test_the_image_is_what_make_builds() -> None:
    names = re.findall(r"image: (gatescope\S*)", "".join(path.read_text("utf-8") for path in DEPLOY.glob("*.yaml")))
    assert set(names) == {"gatescope:cpu"}
    assert "IMAGE  ?= gatescope:$(DEVICE)" in (ROOT / "image.mk").read_text("utf-8")

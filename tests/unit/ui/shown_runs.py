"""A run to show: the events of a good and of a failed build."""

from collections.abc import Iterator

from builder.events import (
    ArtifactProduced,
    Event,
    Note,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    WaitFinished,
    WaitProgress,
    WaitStarted,
)

SECRET = "hunter2-is-secret"
ARM_ID = (
    "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/app/images/web/versions/1.0.3"
)


def _step(index: int, name: str, outcome: str, detail: str = "") -> Iterator[Event]:
    yield StepStarted(stage="Customize", index=index, total=2, name=name, type="Shell")
    yield StepOutput(stage="Customize", index=index, stream="stdout", line=f"[red]out[/red] {SECRET}")
    yield StepOutput(stage="Customize", index=index, stream="stderr", line="\x1b[2J\x1b[3Aapt: 5%\rapt: 100%")
    yield StepFinished(
        stage="Customize", index=index, name=name, outcome=outcome, seconds=4.5, detail=detail  # type: ignore[arg-type]
    )  # fmt: skip


def good_run() -> Iterator[Event]:
    yield RunStarted(run_id="r1", template="t.json", workspace="IT_g_web", log_dir="/home/x/runs/r1")
    yield StageStarted(stage="Source")
    yield WaitStarted(what="Downloading")
    yield WaitProgress(what="Downloading", done=1 << 20, total=4 << 20, unit="bytes")
    yield WaitFinished(what="Downloading", seconds=12)
    yield Note(level="warning", message="vnetConfig [b]is[/b] not used")
    yield Note(level="info", message="using TCG")
    yield StageFinished(stage="Source", outcome="succeeded", seconds=12.5)
    yield StageStarted(stage="Customize")
    yield from _step(1, "motd", "cached")
    yield from _step(2, "install [red]nginx[/red]", "succeeded")
    yield StageFinished(stage="Customize", outcome="succeeded", seconds=9)
    yield ArtifactProduced(
        run_output="web-v", type="SharedImage", path="/r/image.vhd", id=ARM_ID, version="1.0.3",
        size=4 << 30, size_on_disk=3 << 29,
    )  # fmt: skip
    yield RunFinished(run_id="r1", state="Succeeded", seconds=185, exit_code=0)


def failed_run() -> Iterator[Event]:
    yield RunStarted(run_id="r2", template="t.json", workspace="IT_g_web", log_dir="/home/x/runs/r2")
    yield StageStarted(stage="Customize")
    yield from _step(1, "install", "failed", "exit code 100")
    yield StageFinished(stage="Customize", outcome="failed", seconds=5)
    yield RunFinished(
        run_id="r2",
        state="Failed",
        seconds=5,
        exit_code=1,
        error={"code": "StepFailed", "message": "It failed with exit code 100.", "details": [],
               "hint": "Look [at] the script.", "bundle": "/home/x/runs/r2/failure"},
    )  # fmt: skip

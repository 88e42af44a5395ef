"""The table of verbs: where each lives, what it is for, how it is typed.

A verb's module is imported when the verb is used, never for `build --help`: importing SQLAlchemy or
paramiko costs more than most commands take.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb. `target` is `module:attribute` of a `typer.Typer`; `examples` are shown by its `--help`."""

    name: str
    target: str
    summary: str
    examples: tuple[str, ...]


VERBS: tuple[Verb, ...] = (
    Verb(
        "run",
        "builder.cli.run:app",
        "Build the templates (the verb may be left out).",
        (
            "build template.json",
            "build run web.json db.json --var version=1.2 --output-dir out",
            "build template.json --on-error keep --events events.jsonl",
        ),
    ),
    Verb(
        "validate",
        "builder.cli.validate:app",
        "Check templates and say everything that is wrong; nothing boots.",
        ("build validate template.json", "build validate --strict templates/*.json"),
    ),
    Verb(
        "plan",
        "builder.cli.plan:app",
        "Show what a build would do, step by step; nothing is changed.",
        ("build plan template.json", "build plan template.json --json"),
    ),
    Verb(
        "inspect",
        "builder.cli.inspect:app",
        "Show the effective template: expressions evaluated, variables filled in.",
        ("build inspect deployment.json", "build inspect template.json --defaults --json"),
    ),
    Verb(
        "schema",
        "builder.cli.schema:app",
        "Print the JSON Schema of templates, so that editors complete and check.",
        ("build schema --output template.schema.json",),
    ),
    Verb(
        "import",
        "builder.cli.import_:app",
        "Make an AIB template of another tool's: packer.",
        (
            "build import packer ubuntu.json --output template.json",
            "build import packer . --builder qemu.base",
        ),
    ),
    Verb(
        "runs",
        "builder.cli.runs:app",
        "Look at builds: list, show, logs, report, cancel.",
        (
            "build runs list --json",
            "build runs show latest",
            "build runs logs latest --follow",
            "build runs report latest",
            "build runs cancel latest --wait 60",
        ),
    ),
    Verb(
        "images",
        "builder.cli.images:app",
        "Look after managed images: list, show, verify, import, export, upload, delete.",
        (
            "build images list",
            "build images show web-image --json",
            "build images verify out/web.vhd --generation V2",
            "build images verify foreign.vhd --waive serial-console --waive ssh-server --json",
            "build images verify mygallery/web/1.0.3",
            "build images verify --rules",
            "build images upload web-image https://ACCOUNT.blob.core.windows.net/vhds/web.vhd",
            "build images delete mygroup/web-image --yes",
        ),
    ),
    Verb(
        "marketplace",
        "builder.cli.marketplace:app",
        "Look at the sources a PlatformImage can name, get one ready, add catalogues.",
        (
            "build marketplace list --publisher Canonical",
            "build marketplace search ubuntu 24.04",
            "build marketplace show Debian:debian-12:12-gen2",
            "build marketplace fetch Debian:debian-13:13-gen2",
            "build marketplace provide RedHat:RHEL:8-gen2 rhel-8.10-x86_64-kvm.qcow2",
            "build marketplace add https://images.example.com/catalogue.json --name team",
        ),
    ),
    Verb(
        "gallery",
        "builder.cli.gallery:app",
        "Look after galleries, image definitions and versions.",
        (
            "build gallery list",
            "build gallery show mygallery --json",
            "build gallery create mygallery --location westeurope",
            "build gallery update mygallery --description 'Images of the web team' --tag owner=web",
            "build gallery deploy galleries.json --dry-run",
            "build gallery delete mygallery",
            "build gallery delete mygallery --force",
            "build gallery latest mygallery/web --region westeurope",
            "build gallery latest mygallery/web --region westeurope --explain",
            "build gallery usage mygallery",
            "build gallery advise --vms 200",
            "build gallery audit mygallery --since 7d",
            "build gallery definition list mygallery",
            "build gallery definition show mygallery/web",
            "build gallery definition create mygallery/web --publisher Acme --offer web --sku 1",
            "build gallery definition update mygallery/web --recommended-vcpus 2-8 --end-of-life 2028-01-01",
            "build gallery definition delete mygallery/web",
            "build gallery version list mygallery/web",
            "build gallery version show mygallery/web/latest --json",
            "build gallery version update mygallery/web/1.0.0 --exclude-in eastus --end-of-life 2028-01-01",
            "build gallery version delete mygallery/web/1.0.0 --yes",
            "build gallery prune mygallery/web --keep-last 5 --dry-run",
            'build gallery version revoke mygallery/web/1.0.0 --reason "CVE-2026-1234"',
            "build gallery version unrevoke mygallery/web/1.0.0",
            "build gallery tree mygallery/web",
            "build gallery stale",
            "build gallery stale mygallery --max-age 30d --exit-code",
            "build gallery channel set mygallery/web prod 1.2.3",
            "build gallery channel list mygallery/web",
            "build gallery channel show mygallery/web prod",
            "build gallery channel undo mygallery/web prod",
            "build gallery channel history mygallery/web prod",
            "build gallery channel remove mygallery/web prod",
            "build gallery version regions mygallery/web/1.0.0 --add eastus=2 --remove north",
            "build gallery regions",
            "build gallery status mygallery/web/1.0.0",
            "build gallery replicate --all --jobs 8",
            "build gallery verify --all --repair",
        ),
    ),
    Verb(
        "status",
        "builder.cli.status:app",
        "Show what is stale: templates whose build would make something else now, and versions.",
        ("build status", "build status --all --json", "build status --exit-code"),
    ),
    Verb(
        "schedule",
        "builder.cli.schedule:app",
        "Build templates at times, or when their source has something newer.",
        (
            "build schedule add template.json --cron '0 3 * * *' --time-zone Europe/Berlin",
            "build schedule add template.json --every 7d --on-source-change",
            "build schedule list --json",
            "build schedule show web",
            "build schedule pause web",
            "build schedule resume web",
            "build schedule remove web",
            "build schedule run",
            "build schedule run --once",
            "build schedule run web",
            "build schedule install --systemd",
        ),
    ),
    Verb(
        "access",
        "builder.cli.access:app",
        "Give and take roles in the registry: grant, revoke, list, check, whoami.",
        (
            "build access whoami",
            "build access grant Contributor --to user:alice --on mygallery",
            "build access revoke Contributor --from user:alice --on mygallery",
            "build access list mygallery --inherited",
            "build access check user:alice mygallery/web",
        ),
    ),
    Verb(
        "cache",
        "builder.cli.cache:app",
        "Look after the layers that builds go on from: list, du, prune, export, import.",
        (
            "build cache list",
            "build cache du --json",
            "build cache prune --older-than 7d --dry-run",
            "build cache prune --all --keep-warm",
            "build cache export cache.tar --template web --with-base",
            "build cache export cache.tar.gz 3f9c21ab",
            "build cache import cache.tar",
        ),
    ),
    Verb(
        "shell",
        "builder.cli.shell:app",
        "Open a shell in a kept machine, or in an image without changing it.",
        ("build shell latest",),
    ),
    Verb(
        "bench",
        "builder.cli.bench:app",
        "Measure how long builds of a template take: cold, warm, edited, unchanged.",
        ("build bench template.json", "build bench template.json -n 3 --case warm,edited --json"),
    ),
    Verb(
        "gc",
        "builder.cli.gc:app",
        "Clear away what interrupted builds left behind.",
        ("build gc --dry-run", "build gc"),
    ),
    Verb(
        "doctor",
        "builder.cli.doctor:app",
        "Check that this machine can build, and say what to install.",
        ("build doctor", "build doctor --json"),
    ),
)

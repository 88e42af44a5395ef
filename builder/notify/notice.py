"""What is told, and in whose form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Event = Literal["failed", "deactivated", "recovered", "succeeded", "partial"]
EVENTS: tuple[Event, ...] = ("failed", "deactivated", "recovered", "succeeded", "partial")
DEFAULT_EVENTS: tuple[Event, ...] = ("failed", "deactivated", "recovered", "partial")
_TITLES: dict[Event, str] = {
    "failed": "failed",
    "deactivated": "failed too often and is deactivated",
    "recovered": "succeeded again",
    "succeeded": "succeeded",
    "partial": "was distributed in part",
}
_COLOURS: dict[Event, str] = {
    "failed": "#d13438",
    "deactivated": "#d13438",
    "partial": "#ffaa44",
    "recovered": "#107c10",
    "succeeded": "#107c10",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One end of a scheduled build. `message` is one line, `details` are the lines of an error."""

    event: Event
    schedule: str
    template: str
    host: str
    run_id: str = ""
    message: str = ""
    details: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The subject."""
        return f"Goldsmith: {self.schedule} {_TITLES[self.event]}"

    @property
    def text(self) -> str:
        """All of it, for people."""
        facts = [
            self.message,
            *self.details,
            "",
            f"Template: {self.template}",
            f"Machine:  {self.host}",
        ]
        if self.run_id:
            facts += [f"Run:      {self.run_id}", f"More:     build runs report {self.run_id}"]
        return "\n".join(facts).strip() + "\n"

    def as_json(self) -> dict[str, Any]:
        """For a program: the fields, and the title."""
        return {"title": self.title, **{_camel(name): value for name, value in asdict(self).items()}}

    def as_slack(self) -> dict[str, Any]:
        """An incoming webhook's message (docs.slack.dev, "Sending messages using incoming webhooks")."""
        return {
            "text": self.title,
            "attachments": [
                {"color": _COLOURS[self.event], "text": _escaped(self.text), "fallback": self.title}
            ],
        }

    def as_teams(self) -> dict[str, Any]:
        """A card for a webhook of Teams' Workflows (learn.microsoft.com, "Create incoming webhooks")."""
        colour = "good" if self.event in ("recovered", "succeeded") else "attention"
        block = {"type": "TextBlock", "wrap": True}
        return {
            "type": "message",
            "attachments": [
                {
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.4",
                        "body": [
                            {**block, "text": self.title, "weight": "Bolder", "color": colour},
                            {**block, "text": self.text, "fontType": "Monospace"},
                        ],
                    },
                }
            ],
        }


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _escaped(text: str) -> str:
    """What Slack reads as a link or a mention begins with one of these."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

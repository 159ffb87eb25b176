"""Why an event was not accepted, or how it failed: a stable code, a sentence for people, a status."""

from __future__ import annotations


class QueueError(Exception):
    """Base of the queue's errors. `code` is stable; `status` is the HTTP status."""

    code = "queue.error"
    status = 500

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])


class QueueFull(QueueError):
    """The queue of this Space is full. Try again in a moment."""

    code = "queue.full"
    status = 503

    def __init__(self, size: int, max_size: int) -> None:
        super().__init__(f"Queue is full. {size} of at most {max_size} are waiting; try again in a moment.")


class ApiClosed(QueueError):
    """The owner has closed this Space's API (api_open is off). Use its page instead."""

    code = "queue.api_closed"
    status = 403


class VisitorLimit(QueueError):
    """You have as many events waiting as this queue allows one visitor."""

    code = "queue.visitor_limit"
    status = 429

    def __init__(self, pending: int, most: int) -> None:
        super().__init__(
            f"You have {pending} of at most {most} events waiting in this queue. "
            "Send the next one when one of them has ended."
        )


class StorageLimit(QueueError):
    """The inputs and results that this Space's calls keep are as large as they may be."""

    code = "queue.holds_too_much"
    status = 429

    def __init__(self, kept: int, most: int) -> None:
        super().__init__(
            f"This Space's calls keep {kept:,} of at most {most:,} bytes of inputs and results. "
            "Try again when some of them have ended."
        )


class Refused(QueueError):
    """The Space takes no events now; the message gives the reason."""

    code = "queue.refused"
    status = 503


class KeyReused(QueueError):
    """This idempotency key was used before with another input. Use a new key for a new request."""

    code = "queue.key_reused"
    status = 422


class AccountUnknown(QueueError):
    """An idempotency key counts within its account, which cannot be read now. Please send it again."""

    code = "queue.account_unknown"
    status = 503


class TooManyTokens(QueueError):
    """This token is nobody's, as were many others from your address. Wait five minutes, or send none."""

    code = "queue.too_many_tokens"
    status = 429


class PoisonInput(QueueError):
    """This input crashed the demo twice within a day, so it is not tried again."""

    code = "queue.poison_input"
    status = 422


class NotStored(QueueError):
    """The queue cannot store this safely now: its replica does not answer. Please send it again."""

    code = "queue.not_stored"
    status = 503


class NoSuchPath(QueueError):
    """The app's API has no path with this spelling."""

    code = "queue.no_such_path"
    status = 404


class BadRequest(QueueError):
    """The request does not follow the protocol; the message names the fault."""

    code = "queue.bad_request"
    status = 400


class UnknownFunction(QueueError):
    """The app has no such function."""

    code = "queue.unknown_function"
    status = 404


class NotUpYet(QueueError):
    """This Space has not started yet, so its functions are unknown."""

    code = "queue.not_up_yet"
    status = 503

    def __init__(self, stage: str) -> None:
        super().__init__(f"{self.__doc__} It is {stage} now. Please send it again when it runs.")


class UnknownEvent(QueueError):
    """There is no such event, or it belongs to somebody else."""

    code = "queue.unknown_event"
    status = 404


class BodyTooLarge(QueueError):
    """The body is too large for a queued path."""

    code = "queue.body_too_large"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"A request to a queued path may have a body of at most {limit_bytes // 2**20} MiB.")


class NoAnswer(QueueError):
    """The app did not answer this request; the message gives the reason."""

    code = "queue.no_answer"
    status = 502


class Gone(QueueError):
    """The answer is no longer kept."""

    code = "queue.gone"
    status = 410


class AlreadyEnded(QueueError):
    """This request has ended already."""

    code = "queue.ended"
    status = 409


class OldTransport(QueueError):
    """Calls by the old transport (SSE) cannot wait in line. Use streamable HTTP, at gradio_api/mcp/."""

    code = "queue.old_transport"
    status = 404


class ContainerDied(Exception):
    """The replica went away while it worked on an event."""


class Moved(Exception):
    """Traffic now goes to another replica, or to none: this one gets no more calls."""


class LeaseLost(Exception):
    """Another dispatcher holds the lease; all further writes of this one are refused."""

"""Figures of a server, as Prometheus reads them (text format 0.0.4)."""

from collections import Counter

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Histogram:
    """How many of the times that were seen were at most so long."""

    def __init__(self) -> None:
        self.counts, self.total, self.number = [0] * len(BOUNDS), 0.0, 0

    def add(self, seconds: float) -> None:
        """Take note of a time."""
        self.total += seconds
        self.number += 1
        for place, bound in enumerate(BOUNDS):
            self.counts[place] += seconds <= bound

    def lines(self, name: str, sentence: str) -> list[str]:
        """In the form of Prometheus."""
        buckets = [f'{name}_bucket{{le="{bound}"}} {count}' for bound, count in zip(BOUNDS, self.counts, strict=True)]
        buckets.append(f'{name}_bucket{{le="+Inf"}} {self.number}')
        head = [f"# HELP {name} {sentence}", f"# TYPE {name} histogram"]
        return [*head, *buckets, f"{name}_sum {self.total:.6f}", f"{name}_count {self.number}"]


class Metrics:
    """What happened since the server began."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by path and status
        self.tokens: Counter[str] = Counter()  # by kind
        self.seconds, self.first_seconds = Histogram(), Histogram()

    def text(self, rows: int, waiting: int) -> str:
        """Everything; `rows` texts are being written now, and `waiting` are not yet."""
        lines = ["# HELP textgen_requests_total Requests that were answered.", "# TYPE textgen_requests_total counter"]
        for (path, status), count in sorted(self.requests.items()):
            lines.append(f'textgen_requests_total{{path="{path}",status="{status}"}} {count}')
        lines += [
            "# HELP textgen_tokens_total Tokens that were read and written.",
            "# TYPE textgen_tokens_total counter",
        ]
        lines += [f'textgen_tokens_total{{kind="{kind}"}} {self.tokens[kind]}' for kind in ("prompt", "completion")]
        lines += [
            "# HELP textgen_rows Texts that are being written.",
            "# TYPE textgen_rows gauge",
            f"textgen_rows {rows}",
        ]
        lines += ["# HELP textgen_queue Texts that wait for a row.", "# TYPE textgen_queue gauge"]
        lines.append(f"textgen_queue {waiting}")
        lines += self.seconds.lines("textgen_request_seconds", "Time to the end of an answer.")
        lines += self.first_seconds.lines("textgen_first_byte_seconds", "Time to the first byte of a text.")
        return "\n".join(lines) + "\n"

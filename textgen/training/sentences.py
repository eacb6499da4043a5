"""What is said of a run, a line each: of its text and its model before, of its result after.

A writer reads what a figure means. An engineer, who asks for it with --verbose, reads nats, rates and shapes.
"""

from typing import TYPE_CHECKING

from textgen.cells import CELLS
from textgen.memory import LARGE_BYTES, in_gb
from textgen.messages import clock, counted, in_words
from textgen.records import Evaluated, ParentRecord, ResultRecord
from textgen.store.checkpoints import CHECKPOINT_BYTES_PER_PARAMETER
from textgen.store.model_directory import num_parameters
from textgen.store.tensors import BYTES_PER_NUMBER
from textgen.training.needs import needed_bytes
from textgen.training.plan import Plan

if TYPE_CHECKING:
    from textgen.model.devices import Device

UNITS = {"char": "character", "word": "token"}


def corpus_line(plan: Plan) -> str:
    """The text, and what is kept of it to validate on."""
    corpus, prepared = plan.corpus, plan.prepared
    sizes = f"{len(prepared.train_ids):,} to learn from, {len(prepared.validation_ids):,} to validate on"
    if corpus.documents:
        sizes += f"; {corpus.documents:,} documents, {prepared.num_validation_documents:,} of them to validate on"
    of_tokens = "" if plan.text.level == "char" else "tokens: "
    return f"{corpus.name}: {corpus.characters:,} characters ({of_tokens}{sizes})"


def read_before(plan: Plan) -> str:
    """How much of the text the model that the run begins with has read; empty where that is not known to be any."""
    parent = plan.parent
    if parent is None or parent.read_before is None:
        return ""
    return f"{parent.name} has read about {parent.read_before:.0%} of this text before"


def model_lines(plan: Plan, *, is_verbose: bool) -> list[tuple[str, str]]:
    """The model, why it has that size, and how it is trained: labels and texts."""
    m, t, lines = plan.model, plan.training, []
    if plan.recipe is not None and not plan.recipe.facts.begins_trained:
        reason = f"the budget pays for {plan.recipe.reason} (--preset, and every flag, overrules)"
        lines.append(("size", f"{plan.recipe.preset}: {reason}"))
    shape, numbers = f"{m.num_layers} x {m.units} {CELLS[m.cell].name}", f"{num_parameters(m):,} parameters"
    if not is_verbose:
        lines.append(("model", f"{shape}, {numbers}"))
    else:
        shape += f", embedding {m.embedding_size}{' (tied)' if m.tied else ''}{', skip connections' if m.skip else ''}"
        lines.append(("model", f"{shape}, vocabulary {m.vocabulary_size:,}, {numbers}"))
        course = f" ({t.schedule})" if t.schedule != "one-cycle" else ""
        course += f", of the output bias {t.bias_rate:g} times that" if t.bias_rate != 1 else ""
        rates = f"learning rate {t.learning_rate:g}{course}, dropout {t.dropout:g}, weight decay {t.weight_decay:g}"
        rates += f", activation penalty {t.activation_reg:g}" if t.activation_reg else ""
        sampled = f", {t.num_sampled:,} sampled tokens per step" if t.num_sampled else ""
        batches = f"batches of {t.batch_size} x {t.sequence_length}"
        lines.append(("training", f"{batches}, {rates}, seed {t.seed}{sampled}"))
    if (needed := needed_bytes(m, t)) > LARGE_BYTES:
        lines.append(("memory", f"about {in_gb(needed)}"))
    return lines


def device_line(device: "Device") -> str:
    """Where it computes, and whether by cuDNN."""
    return f"{device.name}; {'cuDNN is used' if device.cudnn else 'cuDNN is not used'}: {device.reason}"


def parent_line(plan: Plan, parent: ParentRecord, loss: float | None, *, is_verbose: bool) -> str:
    """The model that the run begins with, how well that one knows the text, and what it lacked."""
    counts = {"character": parent.symbols_added}
    if plan.text.level == "word":
        counts["word"] = parent.words_added
    added = " and ".join(counted(count, what) for what, count in counts.items()) + " added"
    if loss is None:
        return f"{parent.name}: {added}"
    bits = f"{plan.bits_per_character(loss):.3f} bits per character"
    if is_verbose:
        bits = f"{loss:.2f} nats per {UNITS[plan.text.level]} on the validation part, {bits}"
    return f"{parent.name}: {bits}; {added}"


def steps_line(plan: Plan, seconds_per_step: float | None, first_step: int = 0) -> str:
    """How many steps, and how long they take."""
    begin = f", from step {first_step:,} on" if first_step else ""
    total, note = plan.total_steps or 0, ""
    if seconds_per_step is not None:
        note = f", about {total * seconds_per_step / 60:.1f} minutes of training"
    return f"{total:,} ({plan.epochs:.1f} passes over the text){begin}{note}"


def disk_line(plan: Plan) -> str:
    """What the run and its model take."""
    numbers = num_parameters(plan.model)
    checkpoints = (plan.training.keep_checkpoints + 1) * CHECKPOINT_BYTES_PER_PARAMETER * numbers  # one being written
    model = numbers * BYTES_PER_NUMBER[plan.training.storage]
    return f"checkpoints take up to {checkpoints / 1e6:,.0f} MB during the run, the model about {model / 1e6:,.1f} MB"


def evaluation_line(row: Evaluated, unit: str, *, is_best: bool) -> str:
    """An evaluation as an engineer reads it."""
    line = f"step {row.step:,}  epoch {row.epoch:.1f}  loss {row.train_loss:.3f}"
    if row.validation_loss is not None:
        nats = f"{row.validation_loss:.3f} nats{'' if unit == 'character' else f' per {unit}'}"
        line += f"  validation {nats}, {row.bits_per_character:.2f} bits per character"
    return line if is_best else f"{line}  (not the best)"


def result_lines(results: ResultRecord, unit: str, flattered: str, *, is_verbose: bool) -> list[tuple[str, str]]:
    """What came out, labels and texts.

    Args:
        flattered: what is said beside the figure, where that is better than on a new text.
    """
    steps, passes = f"{results.steps:,} steps", f"{results.epochs:.1f}"
    best = "" if results.best_step == results.steps else f", best at step {results.best_step:,}"
    beside = f"{best}{'; ' if flattered else ''}{flattered}"
    if is_verbose:
        figures = f"{steps}, {passes} epochs, {results.seconds:.0f} s"
        lines = [("done", f"{figures}, {results.tokens_per_second:,.0f} tokens per second")]
    else:
        lines = [("done", f"in {clock(results.seconds)}: {steps}, {passes} passes over the text")]
    loss, bits = results.validation_loss, results.validation_bits_per_character
    if loss is not None and bits is not None:
        nats = f"{loss:.4f} nats per {unit}, {bits:.3f} bits per character{beside}"
        lines.append(("validation", nats) if is_verbose else ("result", f"{in_words(bits)}{beside}"))
    if origins := _origins_line(results):
        lines.append(("samples", origins))
    return lines


def _origins_line(results: ResultRecord) -> str:
    """Where the documents of the last samples are found; empty where there are no documents."""
    counts = (results.samples_new, results.samples_in_training, results.samples_in_validation)
    if not sum(counts):
        return ""
    new, training, validation = counts
    found = f"{new} are new, {training} learned by heart, {validation} in the validation part"
    return f"of {sum(counts)} documents that it wrote {found}"


def copies_line(results: ResultRecord) -> str:
    """The longest run of characters that the last samples have in common with the training text."""
    length, text = results.longest_copy or 0, results.longest_copy_text
    run = " ".join(text.split()) + (" ..." if length > len(text) else "")
    among = counted(results.longest_copy_among, "character")
    found = f"the longest run that stands in your text is {counted(length, 'character')}"
    return f"in {among} that it wrote, {found}: “{run}”"

"""One model, written with by the NumPy engine, the TensorFlow engine and its export: the texts are the same."""

import json
from pathlib import Path

from textgen.config import SamplingConfig
from textgen.export import check, saved_model
from textgen.export.check import Case, explained_by_rounding
from textgen.export.requests import CHECKED, request_of
from textgen.export.saved_model import DESCRIPTION
from textgen.generation.generator import open_generator
from textgen.store.model_directory import StoredModel

# Unknown, empty, and with spaces where a word may end.
PROMPTS = [
    "",
    "the cat",
    "the cat ",
    "the cat  ",
    " ",
    "Ünkn\u00f6wn \u2603 WORDS",
    "\u2603",
    "a dog.\n",
    "a zeb",
    "sat on the\nmat, ",
]
CONFIGS = [
    SamplingConfig(length=60, temperature=0.9, seed=3),
    SamplingConfig(length=1, temperature=1.0, seed=2**40 + 3),
    SamplingConfig(length=40, temperature=1.1, top_k=12, top_p=0.9, min_p=0.02, seed=1),
    SamplingConfig(length=30, temperature=0.0),
    SamplingConfig(length=300, temperature=2.0, seed=5),
]


class ThreeEngines:
    """A model and what it wrote, everywhere."""

    def __init__(self, model: StoredModel, directory: Path):
        self.model, self.path = model, directory / "exported"
        self.path.mkdir()
        saved_model.write(model, self.path)
        self.description = json.loads((self.path / DESCRIPTION).read_text())
        self.needs_tensorflow_text = model.tokenizer.normalize != "none"
        prompts = [*PROMPTS, *check.check_prompts(model)]
        requests = [request_of(PROMPTS, config) for config in CONFIGS]
        requests += [request_of(prompts[len(PROMPTS) :], config) for config in CHECKED]
        answers = saved_model.answer(model, self.path, requests)
        self.answers, self.check_answers = answers[: len(CONFIGS)], answers[len(CONFIGS) :]

    def assert_exported_texts_are_the_same(self) -> None:
        """Prompt and completion of every row."""
        generator = open_generator(self.model)
        for config, answer in zip(CONFIGS, self.answers, strict=True):
            for prompt, text, completion in zip(PROMPTS, answer["text"], answer["completion"], strict=True):
                self._assert_same(generator, prompt, config, text, completion)

    def assert_tensorflow_texts_are_the_same(self) -> None:
        """With several samples, where there is a rule for each."""
        numpy, graph = (open_generator(self.model, engine) for engine in ("numpy", "tensorflow"))
        for config in CONFIGS:
            for prompt in PROMPTS[:3]:
                (found,) = graph.generate(prompt, config)
                self._assert_same(numpy, prompt, config, found.prompt + found.completion, found.completion)
        config = CONFIGS[0].replace(ignore_eod=True, stop=("\n",), repeat_penalty=1.2)
        expected, found = (g.generate("the cat", config, num_samples=3) for g in (numpy, graph))
        assert [c.completion[:20] for c in expected] == [c.completion[:20] for c in found]

    def assert_passes_its_own_check(self) -> None:
        """What `textgen export` compares before it gives an export its name."""
        checked = check.check_texts(self.model, lambda requests: self.check_answers)
        assert checked.prompts == len(CHECKED) * 4
        assert checked.characters > 0

    def _assert_same(self, generator, prompt: str, config, text: str, completion: str) -> None:
        """Equal to the NumPy engine's, or different only where a number lies within rounding of a boundary."""
        expected = generator.generate(prompt, config)[0]
        assert text == expected.prompt + completion
        if completion != expected.completion:
            assert explained_by_rounding(self.model, Case(config, expected, text, completion))

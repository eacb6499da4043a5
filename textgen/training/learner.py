"""A plan as something that computes: its model, its compiled training step and its evaluations."""

from textgen.dataset.batches import count_token_ids
from textgen.model.devices import Device, choose_device
from textgen.model.language_model import build_model
from textgen.store.model_directory import StoredModel
from textgen.training.init_from import initial_weights
from textgen.training.plan import Plan
from textgen.training.shared_step import leading
from textgen.training.step import TrainStep
from textgen.training.validation import Validation
from textgen.workers.team import Team

EVALUATION_TOKENS = 32_768  # of the validation part, in the evaluations of a run; the last one takes all
EVALUATION_LOGITS = 2**26  # fewer tokens where the vocabulary is large: each costs as much as its logits
FINAL_TOKENS = 2_000_000
FINAL_LOGITS = 2**33


class Learner:
    """The model with the weights that a run begins with; those of a checkpoint come later."""

    def __init__(self, plan: Plan, *, team: Team | None = None):
        """Args: team: the processes that make its steps; None is this one alone."""
        config, training = plan.model, plan.training
        self.team = team
        self.device: Device = choose_device(config.cell)
        token_counts = count_token_ids(plan.prepared.train_ids, config.vocabulary_size)
        self.model = build_model(
            config,
            training.seed,
            token_counts if training.unigram_bias else None,
            recurrent_initializer=training.recurrent_initializer,
            forget_bias=training.forget_bias,
        )
        if isinstance(plan.begins, StoredModel):
            weights = initial_weights(plan.begins, plan.tokenizer, token_counts, training.seed)
            self.model.set_named_weights(weights)
        with_xla = self.device.name == "CPU"
        self.step = (TrainStep if team is None else leading(team, self.device))(
            self.model,
            training,
            compile_with_xla=with_xla,
            token_counts=token_counts,
            document_end=plan.tokenizer.eod_id,
        )
        self.validate: Validation | None = None  # on pieces of the validation part
        self.validate_fully: Validation | None = None  # on all of it, if it is not very long
        if len(plan.prepared.validation_ids) >= 2:
            final_tokens = min(FINAL_TOKENS, FINAL_LOGITS // config.vocabulary_size)
            ids = plan.prepared.validation_ids[:final_tokens]
            self.validate_fully = Validation(self.model, ids, compile_with_xla=with_xla, cores=training.cores)
            most = max(EVALUATION_TOKENS // 8, EVALUATION_LOGITS // config.vocabulary_size)
            self.validate = self.validate_fully.limited(min(EVALUATION_TOKENS, most))

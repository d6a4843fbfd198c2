"""`make mutants`: would the tests notice? Each mutant undoes one decision of the package, and some test must fail.

A mutant is one snippet of one file, replaced in a copy of the package; the tests that are named beside it are run on
the copy. One that survives is a decision that nothing guards: write the test, or give up the decision. The first job
changes nothing, and must survive: a test that fails anyway would kill everything.
"""

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import joblib
import pytest
from joblib.externals.loky import get_reusable_executor
from tabulate import tabulate
from tqdm.auto import tqdm

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 600  # seconds: a mutant that runs on for ever has been noticed, too
NOTHING = "nothing is changed"
HEAVY = ["torch", "pandas", "scipy.special", "beartype", "lightning_fabric", "safetensors.torch", "typer", "PIL.Image"]


class Mutant(NamedTuple):
    name: str
    """What becomes of the package, in plain English."""
    file: str
    """Within vsrpp_lite/."""
    original: str
    """Must occur exactly once in the file."""
    replacement: str
    tests: str
    """Files or ids of tests, within tests/, that should fail; separated by spaces."""


LESSONS = [
    Mutant(
        "a new graph layer is not the identity",
        "gcn_reasoning.py",
        "nn.init.zeros_(self.norm.weight)",
        "nn.init.ones_(self.norm.weight)",
        "test_gcn_reasoning.py::test_a_new_stack_is_the_identity",
    ),
    Mutant(
        "affinities are divided by all rows, missing regions included",
        "gcn_reasoning.py",
        "affinity / mask.sum(dim=1)[:, None, None]",
        "affinity / mask.shape[1]",
        "test_gcn_reasoning.py::test_missing_regions_send_nothing_and_move_no_statistics",
    ),
    Mutant(
        "missing regions send messages",
        "gcn_reasoning.py",
        "affinity = affinity.masked_fill(~mask[:, None, :], 0.0)",
        "affinity = affinity + 0.0",
        "test_gcn_reasoning.py::test_missing_regions_send_nothing_and_move_no_statistics",
    ),
    Mutant(
        "padding moves the statistics of the graph's normalisation",
        "gcn_reasoning.py",
        "normed[mask] = self.norm(messages[mask])",
        "normed = self.norm(messages.flatten(0, 1)).view_as(messages)",
        "test_gcn_reasoning.py::test_missing_regions_send_nothing_and_move_no_statistics",
    ),
    Mutant(
        "graph reasoning has no residual",
        "gcn_reasoning.py",
        "return regions + normed",
        "return normed",
        "test_gcn_reasoning.py::test_messages_equal_a_loop_over_regions",
    ),
    Mutant(
        "the sentence is read at the end of the padding",
        "global_alignment.py",
        "last = mask.sum(1) - 1",
        "last = torch.full_like(mask.sum(1), mask.shape[1] - 1)",
        "test_global_alignment.py::test_the_region_gru_stops_at_the_last_region",
    ),
    Mutant(
        "the backward GRU begins in the padding",
        "global_alignment.py",
        "reverse = reversal(mask)",
        "reverse = reversal(torch.ones_like(mask))",
        "test_global_alignment.py::test_the_bi_gru_is_pytorchs",
    ),
    Mutant(
        "word embeddings begin as torch draws them, not between -0.1 and 0.1",
        "global_alignment.py",
        "nn.init.uniform_(self.embedding.weight, -0.1, 0.1)",
        "pass",
        "test_global_alignment.py::test_words_begin_as_small_numbers_drawn_evenly_between_minus_and_plus_a_tenth",
    ),
    Mutant(
        "hinges are summed for ever",
        "global_alignment.py",
        "violations.amax(1) if hardest else violations.sum(1)",
        "violations.sum(1)",
        "test_global_alignment.py::test_hinge_by_hand",
    ),
    Mutant(
        "the hardest negative counts alone in the warm-up too",
        "global_alignment.py",
        "hardest = not comparison.progress.warming_up",
        "hardest = True",
        "test_global_alignment.py::test_hinges_are_summed_while_training_warms_up_and_then_the_hardest_counts_alone",
    ),
    Mutant(
        "another caption of the same image is a negative for the hinge",
        "global_alignment.py",
        "negatives = image_positions[:, None] != image_positions",
        "negatives = ~torch.eye(len(scores), dtype=torch.bool)",
        "test_global_alignment.py::test_two_captions_of_one_image_are_never_negatives",
    ),
    Mutant(
        "sentences never look for their picture while training",
        "global_alignment.py",
        "(texts_for_images + images_for_texts).mean()",
        "(2 * texts_for_images).mean()",
        "test_global_alignment.py::test_ranking_loss_equals_a_triple_loop",
    ),
    Mutant(
        "both directions of the hinge compare pictures with sentences",
        "global_alignment.py",
        "hinge(columns.T, positives",
        "hinge(rows, positives",
        "test_global_alignment.py::test_ranking_loss_equals_a_triple_loop",
    ),
    Mutant(
        "the balance of ranking and caption loss is not the released one",
        "global_alignment.py",
        "RELEASED_BATCH = 128",
        "RELEASED_BATCH = 1",
        "test_train.py::test_the_balance_of_losses_is_the_released_one_at_any_batch_size",
    ),
    Mutant(
        "cosines are clipped by the paper's ReLU, not by the released slope",
        "local_attention.py",
        "clipped = leaky_relu(affinity, 0.1)",
        "clipped = leaky_relu(affinity, 0.0)",
        "test_local_attention.py::test_scores_and_gradients_equal_the_loop",
    ),
    Mutant(
        "attention is normalised over the context, not over the queries",
        "local_attention.py",
        "(clipped * clipped).sum(query, keepdim=True)",
        "(clipped * clipped).sum(context, keepdim=True)",
        "test_local_attention.py::test_scores_and_gradients_equal_the_loop",
    ),
    Mutant(
        "the softmax is taken over the queries",
        "local_attention.py",
        ".softmax(context)",
        ".softmax(query)",
        "test_local_attention.py::test_attention_of_a_pair_sums_to_one_over_its_context",
    ),
    Mutant(
        "missing regions count in the mean of the queries",
        "local_attention.py",
        "(cosines * present).sum(1) / present.sum(1)",
        "(cosines * present).sum(1) / present.shape[1]",
        "test_local_attention.py::test_padding_and_order_change_nothing",
    ),
    Mutant(
        "scores come in the order of the captions' lengths",
        "local_attention.py",
        "torch.cat(scores, 1)[:, order.argsort()]",
        "torch.cat(scores, 1)",
        "test_local_attention.py::test_scores_and_gradients_equal_the_loop",
    ),
    Mutant(
        "the attended vector's length is not divided out",
        "local_attention.py",
        "* squared_length.clamp(min=TINY).rsqrt()",
        "* squared_length.clamp(min=1.0, max=1.0)",
        "test_local_attention.py::test_scores_and_gradients_equal_the_loop",
    ),
    Mutant(
        "mu weighs the global similarity",
        "fusion.py",
        "cosine(images, texts) + mu * local(images, texts)",
        "mu * cosine(images, texts) + local(images, texts)",
        "test_fusion.py::test_fusion_is_global_plus_mu_times_local",
    ),
    Mutant(
        "the caption loss counts nothing",
        "caption_loss.py",
        "    half_precision = True",
        "    half_precision = True\n    weight = 0.0",
        "test_train.py::test_a_step_follows_the_gradient_of_the_weighted_sum_of_losses_and_of_one_batch_alone",
    ),
    Mutant(
        "the decoder has no dropout",
        "caption_loss.py",
        "dropout: float = 0.2",
        "dropout: float = 0.0",
        "test_caption_loss.py::test_one_number_in_five_is_dropped_in_training_and_none_when_a_caption_is_written",
    ),
    Mutant(
        "what the decoder attends to is not dropped out",
        "caption_loss.py",
        "in_full_precision(self.cell, torch.cat([word, self.dropout(context)], 1), hidden)",
        "in_full_precision(self.cell, torch.cat([word, context], 1), hidden)",
        "test_caption_loss.py::test_dropout_reaches_the_picture_the_words_and_what_is_attended_to",
    ),
    Mutant(
        "the decoder's words are not dropped out",
        "caption_loss.py",
        "zip(self.dropout(self.embedding(tokens)).unbind(1), alive",
        "zip(self.embedding(tokens).unbind(1), alive",
        "test_caption_loss.py::test_dropout_reaches_the_picture_the_words_and_what_is_attended_to",
    ),
    Mutant(
        "the decoder attends to missing regions",
        "caption_loss.py",
        "energy.masked_fill(~mask, -torch.inf).softmax(1)",
        "energy.softmax(1)",
        "test_caption_loss.py::test_loss_and_gradients_equal_the_plain_decoder",
    ),
    Mutant(
        "the caption loss is a mean over words",
        "caption_loss.py",
        'reduction="sum") / len(tokens)',
        'reduction="mean")',
        "test_caption_loss.py::test_an_untrained_decoder_guesses_at_chance",
    ),
    Mutant(
        "the decoder is asked for the word that it was just told",
        "caption_loss.py",
        "tokens[:count, step + 1]",
        "tokens[:count, step]",
        "test_caption_loss.py::test_loss_and_gradients_equal_the_plain_decoder",
    ),
    Mutant(
        "InfoNCE counts other captions of the image as wrong, as CLIP does",
        "matcher.py",
        "return self.image_positions[:, None] != self.all_image_positions",
        "return torch.arange(len(self.all_image_positions)) != self.positives[:, None]",
        "test_info_nce.py::"
        "test_the_loss_of_a_batch_is_the_mean_of_both_directions_and_knows_which_image_a_caption_is_of",
    ),
    Mutant(
        "InfoNCE's temperature has no limit",
        "info_nce.py",
        "self.log_inverse_temperature.clamp_(max=math.log(LARGEST_INVERSE_TEMPERATURE))",
        "pass",
        "test_info_nce.py::test_the_temperature_begins_where_it_is_told_learns_and_is_never_hotter_than_a_hundred",
    ),
]

MATCHER_AND_SETTINGS = [
    Mutant(
        "a GRU runs in mixed precision",
        "global_alignment.py",
        "with torch.autocast(inputs[0].device.type, enabled=False):",
        "with torch.autocast(inputs[0].device.type):",
        "test_global_alignment.py::test_recurrent_layers_keep_the_precision_of_their_weights_where_mixed_precision_is_on",
    ),
    Mutant(
        "a training in a job of SLURM asks SLURM for its processes",
        "training/distributed.py",
        "plugins=LightningEnvironment(),",
        "plugins=None,",
        "test_distributed.py::test_a_job_of_slurm_with_several_tasks_trains_as_any_other_process",
    ),
    Mutant(
        "a run keeps its digest when its data are made anew",
        "training/runs.py",
        'vars(self).pop("digest", None)',
        "pass",
        "test_runs.py::test_data_that_were_made_anew_are_trained_on_although_the_run_has_seen_the_old_ones",
    ),
    Mutant(
        "only build identifies a system of one's own",
        "training/identity.py",
        "if code and name not in WRITTEN_BY_DATACLASS:",
        'if code and name == "build":',
        "test_models.py::test_an_edited_method_or_property_is_another_system_and_another_docstring_is_not",
    ),
    Mutant(
        "hinges are taken in half precision where the rest is",
        "matcher.py",
        "enabled=mixed and loss.half_precision",
        "enabled=mixed",
        "test_train.py::test_hinges_are_taken_in_float32_whatever_the_encoders_compute_in",
    ),
    Mutant(
        "encodings are compared in the precision that made them",
        "matcher.py",
        "return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x",
        "return x",
        "test_train.py::test_hinges_are_taken_in_float32_whatever_the_encoders_compute_in",
    ),
    Mutant(
        "a split is encoded in training mode",
        "matcher.py",
        "with evaluating(self):",
        "with evaluating(nn.Identity()):",
        "test_metrics.py::test_a_split_is_encoded_alike_in_both_modes_and_the_mode_stays",
    ),
    Mutant(
        "evaluation leaves the model in evaluation mode",
        "matcher.py",
        "part.training = training",
        "matcher.train(False)",
        "test_metrics.py::test_a_similarity_with_dropout_is_scored_in_evaluation_mode_and_trains_on_afterwards",
    ),
    Mutant(
        "losses are added without their weights",
        "matcher.py",
        "self.terms[name].weight * loss",
        "loss",
        "test_train.py::test_the_balance_of_losses_is_the_released_one_at_any_batch_size",
    ),
    Mutant(
        "a system that was published with half the rate is trained with the whole of the preset's",
        "settings.py",
        "learning_rate=proportion * training.learning_rate",
        "learning_rate=training.learning_rate",
        "test_runs.py::test_other_presets_keep_the_published_proportions_of_learning_rates",
    ),
    Mutant(
        "2.9 epochs are taken for 2",
        "settings.py",
        "if isinstance(value, Integral) or (isinstance(value, float) and value.is_integer()):",
        "if isinstance(value, (Integral, float)):",
        "test_runs.py::test_a_training_that_cannot_be_is_refused",
    ),
]

TRAINING = [
    Mutant(
        "best.pt is the last epoch",
        "training/train.py",
        'if history[-1]["dev"]["rsum"] >= max(record["dev"]["rsum"] for record in history):',
        "if history:",
        "test_train.py::test_the_best_weights_are_those_of_the_best_epoch_on_dev_the_later_of_two_equal_ones",
    ),
    Mutant(
        "the best epoch is chosen on test",
        "training/runs.py",
        "self.splits(blind=blind)[:2]",
        "self.splits(blind=blind)[::2]",
        "test_train.py::test_a_run_looks_at_dev_while_it_trains_and_never_at_test",
    ),
    Mutant(
        "gradients are not clipped",
        "training/train.py",
        "max_norm=training.clip",
        "max_norm=float('inf')",
        "test_train.py::test_the_whole_gradient_is_scaled_down_to_the_clip",
    ),
    Mutant(
        "the learning rate never falls",
        "training/train.py",
        "risen * 0.1 ** (epoch // training.decay_every)",
        "risen",
        "test_train.py::test_the_learning_rate_falls_and_the_warm_up_ends_when_told",
    ),
    Mutant(
        "patience never ends",
        "training/train.py",
        "return patience is not None and",
        "return patience is None and",
        "test_train.py::test_patience_ends_when_as_many_epochs_brought_nothing_better",
    ),
    Mutant(
        "a blind training opens the test split",
        "training/runs.py",
        "[: 2 if blind else 3]",
        "",
        "test_train.py::test_a_blind_training_opens_no_test_split",
    ),
    Mutant(
        "the warm-up lasts one epoch whatever was asked",
        "training/train.py",
        "epoch < training.warmup_epochs",
        "epoch < 1",
        "test_train.py::test_the_learning_rate_falls_and_the_warm_up_ends_when_told",
    ),
    Mutant(
        "gradients of one batch are added to those of the next",
        "training/train.py",
        "optimizer.zero_grad()",
        "pass",
        "test_train.py::test_a_step_follows_the_gradient_of_the_weighted_sum_of_losses_and_of_one_batch_alone",
    ),
    Mutant(
        "no word is hidden while training",
        "training/train.py",
        "visible = hide_rare(tokens, matcher.tokenizer, seed=seed, epoch=epoch)",
        "visible = tokens",
        "test_train.py::test_a_step_follows_the_gradient_of_the_weighted_sum_of_losses_and_of_one_batch_alone",
    ),
    Mutant(
        "a training that resumes has forgotten Adam's moments",
        "training/train.py",
        'adam.load_state_dict(state["optimizer"])',
        "pass",
        "test_train.py::test_interrupted_equals_uninterrupted",
    ),
    Mutant(
        "dropout depends on what was drawn before",
        "training/train.py",
        "_seed(seed, epoch, fabric.global_rank)",
        "pass",
        "test_train.py::test_interrupted_equals_uninterrupted",
    ),
    Mutant(
        "a gradient that is not finite reaches the weights",
        "training/train.py",
        "if not norm.isfinite():",
        "if False:",
        "test_train.py::test_a_loss_that_is_not_a_number_stops_training_before_the_weights",
    ),
    Mutant(
        "one epoch at the plateau is taken for a rest",
        "training/train.py",
        "history[training.warmup_epochs :][-2:]",
        "history[training.warmup_epochs :][-1:] * 2",
        "test_train.py::test_the_plateau_is_named_when_training_rests_there",
    ),
]

EVALUATION = [
    Mutant(
        "average precision counts places behind the first R",
        "paper/true_answers.py",
        "counted = ordered & (places <= count[:, None])",
        "counted = ordered",
        "test_true_answers.py::test_average_precision_counts_the_first_r_places",
    ),
    Mutant(
        "of equal scores the right one comes first",
        "paper/true_answers.py",
        "np.lexsort((right, -scores), axis=1)",
        "np.lexsort((~right, -scores), axis=1)",
        "test_true_answers.py",
    ),
    Mutant(
        "every false twin is scored beside the first picture",
        "paper/true_answers.py",
        "one = Encoded(*(x[image : image + 1] for x in images))",
        "one = Encoded(*(x[:1] for x in images))",
        "test_true_answers.py::test_preferred_scores_each_picture_with_its_own_two_captions",
    ),
    Mutant(
        "the words alone forget that a shorter run of words is a worse guess",
        "paper/words_alone.py",
        "return FACTOR**left_out * count",
        "return count",
        "test_words_alone.py::test_three_words_that_never_stood_together_give_way_to_two_and_then_to_one",
    ),
    Mutant(
        "a text's ties count for us",
        "training/metrics.py",
        "text_ranks = (scores >= own).sum(0)",
        "text_ranks = 1 + (scores > own).sum(0)",
        "test_metrics.py::test_ranks_by_eye",
    ),
    Mutant(
        "an image's ties count for us",
        "training/metrics.py",
        "image_ranks = 1 + (scores >= best[:, None]).sum(1) - own_as_high",
        "image_ranks = 1 + (scores > best[:, None]).sum(1)",
        "test_metrics.py::test_ranks_by_eye",
    ),
    Mutant(
        "scores that are no numbers are ranked",
        "training/metrics.py",
        "if not np.isfinite(scores).all():",
        "if False:",
        "test_metrics.py::test_scores_that_are_not_numbers_are_refused",
    ),
    Mutant(
        "recall at K lets K stand before the right one",
        "training/metrics.py",
        "100.0 * (image_ranks[:, None] <= CUTS)",
        "100.0 * (image_ranks[:, None] <= np.array(CUTS) + 1)",
        "test_metrics.py::test_recalls_by_eye",
    ),
    Mutant(
        "images with many captions weigh more",
        "training/metrics.py",
        "text_hits *= len(image_ranks) / len(text_ranks)",
        "text_hits /= np.bincount(caption_to_image)[:, None]",
        "test_metrics.py::test_contributions_average_to_the_recalls",
    ),
    Mutant(
        "a similarity is scored on dev in training mode",
        "training/ranking.py",
        "with evaluating(matcher):\n        return",
        "if True:\n        return",
        "test_metrics.py::test_a_similarity_with_dropout_is_scored_in_evaluation_mode_and_trains_on_afterwards",
    ),
    Mutant(
        "a similarity is scored in training mode",
        "training/ranking.py",
        "with evaluating(matcher):  # a similarity may have dropout, too",
        "if True:",
        "test_true_answers.py::test_a_similarity_that_drops_numbers_in_training_is_judged_without_dropout",
    ),
    Mutant(
        "a captions' decoder writes with dropout",
        "caption_loss.py",
        "with evaluating(self):",
        "if True:",
        "test_caption_loss.py::test_one_number_in_five_is_dropped_in_training_and_none_when_a_caption_is_written",
    ),
    Mutant(
        "folds that do not divide are ranked all the same",
        "training/ranking.py",
        "if images % folds or len(set(np.bincount(fold, minlength=folds))) > 1:",
        "if False:",
        "test_metrics.py::test_folds_are_means_over_consecutive_images",
    ),
    Mutant(
        "every fold is ranked with the images of the first",
        "training/ranking.py",
        "scores = mean_scores(models, rows, chosen)",
        "scores = mean_scores(models, slice(size), chosen)",
        "test_metrics.py::test_folds_are_means_over_consecutive_images",
    ),
    Mutant(
        "the scores of two models are added, and not averaged",
        "training/ranking.py",
        "total /= len(models)",
        "total /= 1",
        "test_metrics.py::test_the_scores_of_two_models_are_averaged_piece_by_piece",
    ),
    Mutant(
        "the variance over seeds is not divided by how many there are",
        "training/significance.py",
        "by_seed = seeds_vary.variance / seeds",
        "by_seed = seeds_vary.variance",
        "test_significance.py::test_the_variance_of_a_mean_over_seeds_by_hand",
    ),
    Mutant(
        "seeds do not widen the interval",
        "training/significance.py",
        "variance = one + other",
        "variance = one",
        "test_significance.py::test_both_variances_add_and_their_degrees_of_freedom_are_welchs",
    ),
    Mutant(
        "p-values are one-sided",
        "training/significance.py",
        "return 2 * stdtr(freedom, -far)",
        "return stdtr(freedom, -far)",
        "test_significance.py::test_a_p_value_is_below_a_twentieth_where_the_interval_does_not_hold_zero",
    ),
    Mutant(
        "a variance that is small by chance makes a difference certain",
        "training/significance.py",
        "np.maximum(p, two_sided(*spread(samples, usual)))",
        "p",
        "test_significance.py::test_a_variance_that_is_small_by_chance_does_not_make_a_difference_certain",
    ),
    Mutant(
        "the variance of a difference is that of one row",
        "paper/tables.py",
        "variance=2 * of_row.variance / averaged",
        "variance=of_row.variance / averaged",
        "test_tables.py::test_the_rows_of_a_table_lend_a_claim_their_variance_over_seeds",
    ),
    Mutant(
        "an interval at 95 % holds 90 %",
        "training/significance.py",
        "stdtrit(freedom, (1 + level) / 2)",
        "stdtrit(freedom, level)",
        "test_significance.py::test_the_variance_of_a_mean_over_seeds_by_hand",
    ),
    Mutant(
        "Holm's p-values may fall",
        "training/significance.py",
        "np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order])",
        "factors * np.asarray(p_values, dtype=float)[order]",
        "test_significance.py::test_holm_by_hand "
        "test_properties.py::test_holm_keeps_the_order_and_never_makes_a_p_smaller",
    ),
    Mutant(
        "Holm's method is Bonferroni's",
        "training/significance.py",
        "factors = np.arange(len(order), 0, -1)",
        "factors = np.full(len(order), len(order))",
        "test_significance.py::test_holm_by_hand",
    ),
]

RUNS = [
    Mutant(
        "the texts of a piece are not where their scores are written",
        "training/ranking.py",
        "model.texts(texts[places])",
        "model.texts(texts[np.sort(places)])",
        "test_metrics.py::test_ranks_do_not_depend_on_the_pieces_of_texts",
    ),
    Mutant(
        "an imported VSRN is normalised as its paper says, and not as its code does",
        "paper/released.py",
        'VSRN(margin=margin, norm="regions")',
        "VSRN(margin=margin)",
        "test_checkpoints.py::test_a_checkpoint_scores_as_the_released_code",
    ),
    Mutant(
        "a training is resumed whatever became of its other files",
        "training/train.py",
        "files.check(name for name in files.names if files.has(name))",
        "files.check([])",
        "test_damaged.py::test_a_training_is_not_resumed_over_a_damaged_file",
    ),
    Mutant(
        "workers outlive the process that started them",
        "workers.py",
        "while os.getppid() == parent:",
        "while True:",
        "test_workers.py::test_workers_of_a_killed_process_leave",
    ),
    Mutant(
        "the seed does not change the folder of a run",
        "training/runs.py",
        '            "seed": self.seed,\n',
        "",
        "test_runs.py::test_everything_that_matters_changes_the_digest",
    ),
    Mutant(
        "results of other code are taken for today's",
        "training/runs.py",
        '            "version": RESULTS_VERSION,\n',
        "",
        "test_runs.py::test_the_version_of_results_is_part_of_the_digest",
    ),
    Mutant(
        "what was kept of a model that learns again counts",
        "training/run_folder.py",
        "if not files.has(RESULT):",
        "if False:",
        "test_runs.py::test_a_model_that_still_learns_has_no_results",
    ),
    Mutant(
        "COCO is tested on its first thousand images",
        "training/runs.py",
        'name_of_test(self.data_folder) if split == "test" else split',
        "split",
        "test_runs.py::test_where_there_is_a_testall_that_is_the_test",
    ),
    Mutant(
        "training moves the caller's random generator",
        "training/runs.py",
        "with torch.random.fork_rng(devices=[]):  # keep the caller's generator",
        "if True:",
        "test_runs.py::test_training_leaves_the_callers_generator_alone",
    ),
    Mutant(
        "ranks of two averaged models are kept as those of one",
        "training/run_folder.py",
        '["test-ranks", str(folds), *(str(partner.owner) for partner in partners)]',
        '["test-ranks", str(folds)]',
        "test_tables.py::test_averages_and_wider_searches_are_those_of_the_scores",
    ),
    Mutant(
        "an axis is followed in the order in which it was typed",
        "training/grid.py",
        'sorted(zip(axes, values, strict=True), key=lambda axis: "." in axis[0])',
        "zip(axes, values, strict=True)",
        "test_runs.py::test_another_system_or_preset_brings_its_own_sizes_and_rate",
    ),
    Mutant(
        "a grid trains a run once for each time that it is named",
        "training/grid.py",
        "for run in dict.fromkeys(runs):",
        "for run in runs:",
        "test_runs.py::test_a_run_that_is_named_twice_comes_once",
    ),
    Mutant(
        "one failed run of a grid is not mentioned",
        "training/grid.py",
        "failures[run] = outcome.failure\n",
        "pass\n",
        "test_runs.py::test_a_grid_goes_on_when_a_run_fails_and_names_it_at_the_end",
    ),
    Mutant(
        "an edited build of a notebook's class is the same system",
        "training/identity.py",
        'if not kind.__module__.startswith("vsrpp_lite."):',
        "if False:",
        "test_runs.py::test_an_edited_build_of_a_notebooks_class_is_another_system",
    ),
    Mutant(
        "a system of another version reads old weights",
        "training/identity.py",
        'if system.version != described["version"]:',
        "if False:",
        "test_models.py::test_a_system_is_rebuilt_from_what_describes_it_or_refused_by_name",
    ),
    Mutant(
        "a half-trained model is loaded",
        "training/models.py",
        "check_done(files)",
        "pass",
        "test_models.py::test_the_folder_of_a_run_loads_too_once_it_is_done",
    ),
    Mutant(
        "an export writes over what is there",
        "files.py",
        "if path.exists() and not (path.is_dir() and not any(path.iterdir())):",
        "if False:",
        "test_models.py::test_what_is_there_already_is_not_written_over",
    ),
    Mutant(
        "a loaded model drops out",
        "training/models.py",
        'Sizes(**config["sizes"])).eval()',
        'Sizes(**config["sizes"]))',
        "test_models.py::test_an_exported_model_scores_to_the_last_digit_without_its_data",
    ),
    Mutant(
        "a run gives its last weights for its best",
        "training/models.py",
        "with files.open(BEST) as file, _fits(files.folder / BEST, config):\n"
        "        matcher.load_state_dict(load_checkpoint(file))",
        "with files.open(LAST) as file, _fits(files.folder / BEST, config):\n"
        '        matcher.load_state_dict(load_checkpoint(file)["model"])',
        "test_models.py::test_a_run_gives_its_best_weights_and_not_its_last",
    ),
    Mutant(
        "a file that is not the one that was written is read",
        "sealed_folder.py",
        "if found in expected:",
        "if True:",
        "test_damaged.py::test_a_permuted_vocabulary_is_refused",
    ),
    Mutant(
        "the folder of another run is read",
        "sealed_folder.py",
        "if self.owner is not None and owner != self.owner:",
        "if False:",
        "test_damaged.py::test_the_whole_folder_of_another_run_is_refused",
    ),
    Mutant(
        "during a move the old content is refused",
        "sealed_folder.py",
        "self._enter(name, [checksum, *self._files().get(name, [None])])",
        "self._enter(name, [checksum])",
        "test_damaged.py::test_a_file_can_be_read_whenever_its_writer_is_killed",
    ),
    Mutant(
        "a file is deleted before checksums.json says that it may be absent",
        "sealed_folder.py",
        "self._enter(name, [*known[name], None])",
        "pass",
        "test_runs.py::test_whenever_forgetting_is_interrupted_the_run_can_be_used_or_trained_again",
    ),
    Mutant(
        "the state to resume from outlives the mark that the run is done",
        "training/run_folder.py",
        "name != LAST, name != RESULT",
        "name != RESULT, name != LAST",
        "test_runs.py::test_whenever_forgetting_is_interrupted_the_run_can_be_used_or_trained_again",
    ),
]

DATA = [
    Mutant(
        "images stand in the order of their ids, not of the file",
        "data/precomp.py",
        "image, distinct = pd.factorize(ids)",
        "image, distinct = pd.factorize(ids, sort=True)",
        "test_precomp.py::test_any_number_of_captions_an_image",
    ),
    Mutant(
        "NaN in features is let in",
        "data/arrays.py",
        "if row is not None:",
        "if False:",
        "test_precomp.py::test_a_damaged_folder_is_refused_by_file_and_place",
    ),
    Mutant(
        "masks may have holes",
        "data/precomp.py",
        "~mask[:, 0] | (mask[:, 1:] & ~mask[:, :-1]).any(1)",
        "~mask[:, 0]",
        "test_precomp.py::test_a_damaged_folder_is_refused_by_file_and_place",
    ),
    Mutant(
        "boxes may be pixels",
        "data/precomp.py",
        "(boxes < 0).any((1, 2)) | (boxes > 1).any((1, 2))",
        "(boxes < 0).any((1, 2))",
        "test_precomp.py::test_a_damaged_folder_is_refused_by_file_and_place",
    ),
    Mutant(
        "captions that are bytes written as text are let in",
        "data/lines.py",
        "if line[:2] in (\"b'\", 'b\"'):",
        "if False:",
        "test_precomp.py::test_a_damaged_folder_is_refused_by_file_and_place",
    ),
    Mutant(
        "two images of one id are believed to be one",
        "data/arrays.py",
        "if not equal.all():",
        "if False:",
        "test_precomp.py::test_rows_of_one_id_must_hold_one_image",
    ),
    Mutant(
        "one region too many exists",
        "data/write.py",
        "np.arange(regions) < counts[:, None]",
        "np.arange(regions) <= counts[:, None]",
        "test_precomp.py::test_what_is_written_is_read_back test_properties.py",
    ),
    Mutant(
        "splits that do not fit each other are written",
        "data/write.py",
        "check_fit(list(opened.values()))",
        "pass",
        "test_precomp.py::test_splits_that_do_not_fit_each_other_are_not_written",
    ),
    Mutant(
        "letters of a string are written as captions",
        "data/write.py",
        "if isinstance(texts, str) or not texts:",
        "if not texts:",
        "test_precomp.py::test_what_is_no_data_set_is_refused_before_it_is_written",
    ),
    Mutant(
        "a fresh grid trains again what another one has just trained",
        "training/grid.py",
        "fresh = bool(since) and not _written(run.folder / RESULT, since)",
        "fresh = bool(since)",
        "test_runs.py::test_what_another_grid_has_trained_afresh_is_not_trained_afresh_again",
    ),
    Mutant(
        "a gate that is sure has an infinite slope",
        "systems/gvse.py",
        ".clamp(-15, 15)",
        "",
        "test_systems.py::test_a_gate_that_is_sure_has_finite_gradients",
    ),
    Mutant(
        "a changed file passes for the one in the manifest",
        "data/manifest.py",
        "if (found := sha256(path)) != expected:",
        "if (found := sha256(path)) is None:",
        "test_main.py::test_check_says_what_is_there_or_what_is_wrong",
    ),
    Mutant(
        "the fingerprint of data is made of names",
        "data/manifest.py",
        "[[path.name, _remembered_sha256(path)] for path in",
        "[path.name for path in",
        "test_runs.py::test_the_digest_follows_the_content_of_the_data",
    ),
    Mutant(
        "a file of the same size is not read again, whatever its time",
        "data/manifest.py",
        " {stat.st_mtime_ns} {stat.st_ctime_ns}",
        "",
        "test_runs.py::test_the_digest_follows_the_content_of_the_data",
    ),
    Mutant(
        "a slice of a split has its captions in the wrong place",
        "data/dataset.py",
        "caption_to_image=position[self.caption_to_image[kept]]",
        "caption_to_image=np.sort(position[self.caption_to_image[kept]])",
        "test_data.py::test_a_slice_keeps_each_image_with_its_captions",
    ),
    Mutant(
        "every epoch has the same order",
        "data/dataset.py",
        "np.random.default_rng([seed, epoch])",
        "np.random.default_rng([seed])",
        "test_data.py::test_an_epoch_is_a_function_of_its_seed_and_number_and_shows_every_caption_once",
    ),
    Mutant(
        "captions are not sorted by length",
        "data/dataset.py",
        'part[np.argsort(lengths[part], kind="stable")]',
        "part",
        "test_data.py::test_a_batch_holds_captions_of_similar_length",
    ),
    Mutant(
        "short captions come first",
        "data/dataset.py",
        "generator.permutation(by_length.reshape(-1, size))",
        "by_length.reshape(-1, size)",
        "test_data.py::test_captions_of_one_length_meet_others_in_the_next_epoch_and_short_ones_do_not_come_first",
    ),
    Mutant(
        "the last batch may be ragged",
        "data/dataset.py",
        "order[: len(order) // size * size]",
        "np.resize(order, -(-len(order) // size) * size)",
        "test_data.py::test_the_ragged_last_batch_is_left_out",
    ),
    Mutant(
        "each process pads to the longest caption of its own share",
        "data/dataset.py",
        "width = max(len(tokens[k]) for k in whole)\n        mine = whole[rank * share : (rank + 1) * share]",
        "mine = whole[rank * share : (rank + 1) * share]\n        width = max(len(tokens[k]) for k in mine)",
        "test_data.py::test_all_processes_see_texts_of_one_width",
    ),
    Mutant(
        "words keep their capitals",
        "data/text.py",
        '"\'").lower())',
        '"\'"))',
        "test_text.py::test_words_by_hand",
    ),
    Mutant(
        "a vocabulary is in the order of the alphabet",
        "data/text.py",
        "key=lambda word: (-counts[word], word)",
        "key=lambda word: word",
        "test_text.py::test_order_is_by_count_then_alphabet_whatever_the_order_of_captions",
    ),
    Mutant(
        "a word must be seen once more than asked",
        "data/text.py",
        "if n >= min_count",
        "if n > min_count",
        "test_text.py::test_rare_words_are_unknown",
    ),
    Mutant(
        "the end of a caption may be hidden",
        "data/text.py",
        "np.isin(ids, [tokenizer.start, tokenizer.end])",
        "np.isin(ids, [tokenizer.start])",
        "test_text.py::test_no_end_of_a_caption_is_hidden_however_rare_ends_are",
    ),
    Mutant(
        "the same words are hidden in every epoch",
        "data/text.py",
        "np.random.default_rng([seed, epoch, 1]).random",
        "np.random.default_rng([seed, 1]).random",
        "test_text.py::test_training_shows_the_unknown_word_where_words_are_rare",
    ),
    Mutant(
        "an image stands at two positions and loses its captions",
        "data/dataset.py",
        "if len(set(chosen.tolist())) < len(chosen):",
        "if False:",
        "test_data.py::test_an_image_is_chosen_once",
    ),
]

SCENES = [
    Mutant(
        "two balls are true of three",
        "data/scenes/truth.py",
        "return [found] if len(found) == mention.count else []",
        "return [found] if len(found) >= mention.count else []",
        "test_truth.py",
    ),
    Mutant(
        "two mentions may name one thing",
        "data/scenes/truth.py",
        "if len(set(named)) == len(named) and all(",
        "if all(",
        "test_truth.py",
    ),
    Mutant(
        "an edited caption may still be true",
        "data/scenes/probes.py",
        "return None if holds(read(wrong), scene) else wrong",
        "return wrong",
        "test_truth.py::test_minimal_pairs_are_true_and_false",
    ),
    Mutant(
        "a dog may become purple",
        "data/scenes/probes.py",
        "if its == others or its not in can_be_too or others not in can_be:",
        "if its == others:",
        "test_truth.py::test_edits_change_one_detail",
    ),
    Mutant(
        "held by is read as holding",
        "data/scenes/facts.py",
        "self.links.append(Link(other, back[name], subject))",
        "self.links.append(Link(subject, back[name], other))",
        "test_truth.py",
    ),
    Mutant(
        "no picture has a near-neighbour",
        "data/scenes/plans.py",
        "related = pair % 3 == 0",
        "related = False",
        "test_scenes.py::test_the_two_of_a_family_differ_in_one_detail_and_strangers_in_many",
    ),
    Mutant(
        "the detector finds everything",
        "data/scenes/regions.py",
        "missed = rng.random(len(boxes)) < 0.04 + 0.2 * np.exp(-area / 250.0)",
        "missed = rng.random(len(boxes)) < 0",
        "test_scenes.py::test_the_detector_misses_small_things_more_often_than_large_ones",
    ),
    Mutant(
        "what another generator drew is taken for ours",
        "data/scenes/__init__.py",
        "if found != expected:",
        "if False:",
        "test_scenes.py::test_what_another_generator_drew_is_not_taken_for_ours",
    ),
    Mutant(
        "left is right",
        "data/scenes/world.py",
        '"left of" if columns[i] < columns[j] else "right of"',
        '"right of" if columns[i] < columns[j] else "left of"',
        "test_scenes.py::test_relations_are_true_of_the_geometry",
    ),
]

SYSTEMS = [
    Mutant(
        "the layer into the joint space begins as torch draws it",
        "systems/encoders.py",
        "nn.init.xavier_uniform_(linear.weight)",
        "pass",
        "test_systems.py::test_the_layer_into_the_joint_space_begins_as_in_vse_pp",
    ),
    Mutant(
        "missing regions count in an image's mean",
        "systems/encoders.py",
        "(x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]",
        "x.mean(1)",
        "test_systems.py::test_padding_and_order_change_nothing -k VSEpp",
    ),
    Mutant(
        "the region GRU reads small entries whatever was asked",
        "systems/encoders.py",
        "(enhanced.shape[2] / mask.sum(1)).sqrt()[:, None, None]",
        "1.0",
        "test_restated.py -k scaled",
    ),
    Mutant(
        "VSRN as released normalises over features",
        "systems/encoders.py",
        "reasoned / reasoned.norm(dim=1, keepdim=True)",
        "reasoned / reasoned.norm(dim=2, keepdim=True)",
        "test_systems.py::test_vsrn_can_normalise_over_regions_as_its_release_does",
    ),
    Mutant(
        "matching teaches SCO's concepts",
        "systems/sco.py",
        ".sigmoid().detach()",
        ".sigmoid()",
        "test_systems.py::test_matching_does_not_teach_the_concepts_of_sco",
    ),
    Mutant(
        "SCO's concepts are function words too",
        "systems/sco.py",
        "if word not in FUNCTION_WORDS",
        "if word",
        "test_restated.py::test_concepts_of_sco_are_the_content_words",
    ),
    Mutant(
        "GVSE reads letters in <start>",
        "systems/gvse.py",
        "vectors[: len(SPECIALS)] = 0",
        "pass",
        "test_restated.py::test_specials_of_gvse_have_no_letters",
    ),
    Mutant(
        "SAEM's angular loss does not decay",
        "systems/saem.py",
        "0.5 * 0.1 ** int(2 * comparison.progress.decays)",
        "0.5",
        "test_restated.py::test_losses_equal_the_equations -k SAEM",
    ),
    Mutant(
        "order embeddings lose what the text does not say",
        "systems/vsepp.py",
        "(sentences - image).clamp(min=0)",
        "(image - sentences).clamp(min=0)",
        "test_restated.py::test_scores_equal_the_equations -k order",
    ),
    Mutant(
        "SCAN attends from regions to words as hotly as from words to regions",
        "systems/scan.py",
        '"i2t AVG": SCAN(direction="i2t", temperature=4.0)',
        '"i2t AVG": SCAN(direction="i2t")',
        "test_restated.py::test_scores_equal_the_equations -k i2t",
    ),
    Mutant(
        "fusion at the loss is scored with both similarities",
        "systems/vsrpp.py",
        'if self.fusion == "similarity":',
        'if self.fusion in ("similarity", "loss"):',
        "test_fusion.py::test_fusion_at_the_loss_trains_both_and_scores_with_the_global_one",
    ),
]

PAPER = [
    Mutant(
        "a claim is reproduced if the difference is above zero",
        "paper/tables.py",
        "if low > 0:",
        "if low + high > 0:",
        "test_tables.py::test_the_interval_alone_decides",
    ),
    Mutant(
        "the other row's lead reproduces a claim",
        "paper/tables.py",
        "difference = (better - worse) @ weights",
        "difference = (worse - better) @ weights",
        "test_tables.py::test_claims_are_judged_by_the_paired_difference",
    ),
    Mutant(
        "a claim is judged by mR and rsum beside the six recalls",
        "paper/tables.py",
        '"rsum": np.array([1, 1, 1, 1, 1, 1, 0, 0])',
        '"rsum": np.array([1, 1, 1, 1, 1, 1, 1, 1])',
        "test_tables.py::test_claims_are_judged_by_the_paired_difference",
    ),
    Mutant(
        "Table 3 ranks its whole test split at once",
        "paper/four_tables.py",
        "    folds=5,\n",
        "",
        "test_tables.py::test_table_3_is_about_a_second_data_set_searched_in_five_folds",
    ),
    Mutant(
        "a margin does not grow with mu where it should",
        "paper/four_tables.py",
        "margin=0.2 if mu == 2 else 0.2 * (1 + mu) / 3",
        "margin=0.2",
        "test_ablation.py::test_rescaled_margins_keep_their_size_relative_to_the_similarity",
    ),
    Mutant(
        "verdicts are not adjusted for how many there are",
        "paper/table_files.py",
        'pd.Series(holm(claims["p"].tolist()), index=claims.index) < 0.05',
        'claims["p"] < 0.05',
        "test_tables.py::test_verdicts_are_adjusted_for_how_many_there_are",
    ),
    Mutant(
        "claims of two presets stand in one file",
        "paper/table_files.py",
        "kept.append(others[same])",
        "kept.append(others)",
        "test_tables.py::test_claims_of_two_presets_do_not_stand_in_one_file",
    ),
    Mutant(
        "the caption loss of one branch is looked for in all",
        "paper/ablation.py",
        "{part: True} | same, {part: False} | same",
        "{part: True}, {part: False}",
        "test_ablation.py::test_effects_are_those_that_were_put_in",
    ),
    Mutant(
        "an interaction is half of the difference of two effects",
        "paper/ablation.py",
        "2 * float(found[key])",
        "float(found[key])",
        "test_ablation.py::test_an_interaction_is_the_difference_of_two_effects_with_its_own_interval",
    ),
    Mutant(
        "silenced layers add nothing, and not their average",
        "paper/beyond_recall.py",
        "layer.update.bias.data.copy_(layer.norm.running_mean)",
        "nn.init.zeros_(layer.update.bias)",
        "test_beyond_recall.py::test_a_matcher_without_messages_adds_one_vector_to_every_region",
    ),
    Mutant(
        "an edit under a decorator does not count",
        "training/identity.py",
        "function = inspect.unwrap(function)",
        "function = function",
        "test_models.py::test_an_edit_counts_under_a_decorator_and_in_a_default_too",
    ),
    Mutant(
        "a mu is compared with itself",
        "paper/ablation.py",
        "tables.compare(of_mu, sampled[2.0], direction)",
        "tables.compare(of_mu, of_mu, direction)",
        "test_ablation.py::test_mu_effects_are_paired_and_zero_at_the_base",
    ),
    Mutant(
        "a sweep at test time moves the global part",
        "paper/ablation.py",
        "ranks(global_scores + mu * local_scores, caption_to_image)",
        "ranks(mu * global_scores + local_scores, caption_to_image)",
        "test_ablation.py::test_a_model_swept_at_test_time_is_itself_at_its_own_mu",
    ),
]

TEACHING = [
    Mutant(
        "a wrong answer to an exercise is called right",
        "teaching/verdict.py",
        'return Verdict(False, f"✗ Not yet. {error}")',
        'return Verdict(True, f"✗ Not yet. {error}")',
        "test_teaching.py::test_a_typical_mistake_is_named",
    ),
    Mutant(
        "the stub of an exercise counts as an answer",
        "teaching/verdict.py",
        "if any(part is ... for part in answer):",
        "if False:",
        "test_teaching.py::test_a_stub_is_not_answered_yet",
    ),
    Mutant(
        "an answer can be changed after it was committed",
        "teaching/prompts.py",
        "self.choice.disabled = self.commit.disabled = True",
        "self.commit.disabled = True",
        "test_teaching.py::test_a_prompt_keeps_its_reveal_until_an_answer_is_committed",
    ),
    Mutant(
        "the last answer to a question counts",
        "teaching/quiz.py",
        "right.setdefault(question.number,",
        "right.__setitem__(question.number,",
        "test_teaching.py::test_the_first_answer_to_a_question_counts",
    ),
    Mutant(
        "the page without Python has scores in hundredths",
        "show/try_it.py",
        "STEPS = 10_000",
        "STEPS = 100",
        "test_show.py::test_the_page_without_python_holds_the_scores_to_a_ten_thousandth",
    ),
    Mutant(
        "a figure describes the order of its rows the wrong way round",
        "show/figures.py",
        'ordered = measured.sort_values("rsum", ascending=False)',
        'ordered = measured.sort_values("rsum")',
        "test_show.py::test_a_figure_describes_itself_for_those_who_do_not_see_it",
    ),
    Mutant(
        "a search answers in the order of the global score",
        "search.py",
        'order = np.argsort(-scores, kind="stable")[:count]',
        "order = np.arange(len(scores))[:count]",
        "test_search.py::test_candidates_are_the_best_by_the_global_part_and_answers_the_best_of_them_by_the_whole",
    ),
    Mutant(
        "an index of another matcher is read",
        "search.py",
        "if about[role] != matcher_digest(given):",
        "if False:",
        "test_search.py::test_damaged_or_foreign_indexes_are_refused",
    ),
    Mutant(
        "an index does not ask which words its matcher had",
        "search.py",
        'repr(getattr(matcher.tokenizer, "words", None)).encode()',
        "",
        "test_search.py::test_an_index_belongs_to_a_matcher_with_all_its_choices_and_words",
    ),
    Mutant(
        "places that faiss leaves empty are answers",
        "search.py",
        "chosen = chosen[chosen >= 0]",
        "pass",
        "test_search.py::test_places_that_an_approximate_index_leaves_empty_are_no_answers",
    ),
    Mutant(
        "a gradient crosses processes in the order in which it lies in memory",
        "training/distributed.py",
        "joined.register_hook(Tensor.contiguous)",
        "pass",
        "test_distributed.py::test_two_ranks_give_the_gradient_of_one",
    ),
    Mutant(
        "an old result is ranked on new data",
        "training/run_folder.py",
        'if data and files.read_json(CONFIG)["data"] != fingerprint(data):',
        "if False:",
        "test_runs.py::test_a_grid_trains_on_data_that_were_made_anew_and_an_old_result_is_not_ranked_on_them",
    ),
    Mutant(
        "a tie of a caption and its false twin is a preference",
        "paper/true_answers.py",
        "scores[: len(asked)] > scores[len(asked) :]",
        "scores[: len(asked)] >= scores[len(asked) :]",
        "test_true_answers.py::test_a_tie_is_no_preference",
    ),
    Mutant(
        "two folders of one name share their results",
        "paper/tables.py",
        "if folder.is_absolute() else",
        "if False else",
        "test_tables.py::test_two_folders_of_one_name_do_not_share_results",
    ),
    Mutant(
        "the second stage chooses by the first score",
        "two_stage.py",
        "best = np.take_along_axis(whole, chosen, axis=0).argmax(0)",
        "best = np.take_along_axis(first, chosen, axis=0).argmax(0)",
        "test_search.py::test_with_few_candidates_the_second_stage_chooses_among_them",
    ),
    Mutant(
        "a search by regions changes the statistics of a matcher in training mode",
        "search.py",
        "with torch.no_grad(), evaluating(by):",
        "with torch.no_grad():",
        "test_search.py::test_a_search_leaves_the_statistics_of_a_matcher_in_training_mode_alone",
    ),
    Mutant(
        "regions that lie over each other add up to more attention",
        "show/pictures.py",
        "mean = total / np.maximum(count, 1)",
        "mean = total",
        "test_show.py::test_a_pixel_is_as_clear_as_the_mean_weight_of_the_regions_that_cover_it",
    ),
]

MUTANTS = [
    *LESSONS,
    *MATCHER_AND_SETTINGS,
    *TRAINING,
    *EVALUATION,
    *RUNS,
    *DATA,
    *SCENES,
    *SYSTEMS,
    *PAPER,
    *TEACHING,
]


class Verdict(NamedTuple):
    mutant: str
    tests: str
    verdict: str
    """killed, survived, or broken: the tests could not be run at all."""
    seconds: float
    output: str


def misplaced(mutants: list[Mutant]) -> list[str]:
    """Mutants whose snippet is not in its file exactly once: the code has moved on without them."""
    counts = {mutant: (ROOT / "vsrpp_lite" / mutant.file).read_text().count(mutant.original) for mutant in mutants}
    return [f"{mutant.file}: {n} times {mutant.original!r} ({mutant.name})" for mutant, n in counts.items() if n != 1]


def judge(mutant: Mutant) -> Verdict:
    """Run the mutant's tests on a copy of the package in which its snippet is replaced; in a process of its own."""
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        copy = Path(scratch).resolve()
        for part in ("vsrpp_lite", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "submissions"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / "notebooks").mkdir()
        for name in ("predictions.toml", "questions.md"):
            shutil.copy(ROOT / "notebooks" / name, copy / "notebooks")
        path = copy / "vsrpp_lite" / mutant.file
        path.write_text(path.read_text().replace(mutant.original, mutant.replacement))
        os.chdir(copy)
        with (copy / "output.txt").open("w+") as output:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(output.fileno(), stream.fileno())
            code = run(copy, mutant.tests.split())
            sys.stdout.flush()
            output.seek(0)
            said = output.read()
        os.chdir(ROOT)
    verdict = {0: "survived", 1: "killed"}.get(code, "broken")
    return Verdict(mutant.name, mutant.tests, verdict, time.time() - began, said)


def run(copy: Path, words: list[str]) -> int:
    """Pytest's exit code: 0 if all passed, 1 if one failed."""
    os.environ["PYTHONPATH"] = str(copy)  # for processes that tests start
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    tests = [word if word == "-k" or before == "-k" else f"tests/{word}" for before, word in zip(["", *words], words)]
    code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    signal.alarm(0)
    get_reusable_executor().shutdown(kill_workers=True)  # or this process would wait minutes for them to be idle
    tested = getattr(sys.modules.get("vsrpp_lite"), "__file__", None)  # None: it could not be imported
    if tested and not Path(tested).resolve().is_relative_to(copy):
        print(f"{tested} was tested; expected the copy in {copy}")
        return -1
    return code


def too_long(*_: object) -> None:
    raise TimeoutError(f"not at its end after {PATIENCE} seconds")


def unchanged(mutants: list[Mutant]) -> Mutant:
    """The mutant that changes nothing, with the tests of all the others."""
    tests = sorted({word for mutant in mutants for word in mutant.tests.split() if ".py" in word})
    return Mutant(NOTHING, mutants[0].file, mutants[0].original, mutants[0].original, " ".join(tests))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="?", default="", help="mutants with these words in their name or file alone")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="at a time; one for each core")
    asked = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if asked.only in f"{mutant.name} {mutant.file}"]
    if not mutants:
        parser.error(f"no mutant speaks of {asked.only!r}")
    if wrong := misplaced(MUTANTS):
        print("Each snippet must stand in its file exactly once:", *wrong, sep="\n  ")
        return 1
    began = time.time()
    os.environ |= {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "TOKENIZERS_PARALLELISM": "false"}
    context = multiprocessing.get_context("forkserver")  # what takes seconds to import is imported once
    context.set_forkserver_preload(HEAVY)
    with ProcessPoolExecutor(asked.jobs, context, max_tasks_per_child=1) as pool:
        work = [pool.submit(judge, mutant) for mutant in [unchanged(mutants), *mutants]]
        for done in tqdm(as_completed(work), total=len(work), desc="mutants", unit="mutant"):
            if done.result().mutant != NOTHING and done.result().verdict != "killed":
                tqdm.write(f"{done.result().verdict}: {done.result().mutant}")
    control, *verdicts = [done.result() for done in work]
    rows = [(v.verdict, v.mutant, f"{v.seconds:.0f} s") for v in verdicts]
    print(tabulate(rows, headers=["", "mutant", "time"], tablefmt="simple"))
    for v in verdicts:
        if v.verdict != "killed":
            print(f"\n{v.verdict}: {v.mutant}\n  {v.tests}", v.output[-3000:] if v.verdict == "broken" else "")
    if control.verdict != "survived":
        print(f"\nThe tests do not pass as things are, so that no verdict counts:\n{control.output[-3000:]}")
    killed = sum(v.verdict == "killed" for v in verdicts)
    print(f"\n{killed} of {len(verdicts)} mutants killed, in {time.time() - began:.0f} s")
    return int(killed < len(verdicts) or control.verdict != "survived")


if __name__ == "__main__":
    sys.exit(main())

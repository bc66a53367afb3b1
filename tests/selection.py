"""The tests of ``make test``: a covering selection; the others are marked ``thorough`` and run by ``make test-rest``.

A test function with many parameter sets keeps a covering array of them (Cohen et al. 1997): every value of every
parameter stays, and every combination of operator, backend and dtype. For a cross-check of 90 problems by 10
operators by 4 backends by 2 dtypes that is one set in 20. `THINNER` names functions that keep less, and `THOROUGH`
those that are left out, both with the reason. In a table of its own a test marks the sets that `few` leaves out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import pytest

#: Sets that a function may have without being thinned.
_FEW = 24
#: Names of a parameter that is a backend.
_BACKEND = ("spec", "backend")
#: Parameters whose combinations all stay.
_COMBINED = (("operator",), _BACKEND, ("dtype",))

#: Test function, as in `THOROUGH` -> the parameters that its covering need not cover, and the reason. Of the others
#: every value stays, but not every combination.
THINNER: Mapping[str, tuple[frozenset[str], str]] = {
    "crosschecks/test_crosschecks.py::test_the_backends_agree_to_1e_10": (
        frozenset({"problem"}),
        "each result is held to its reference to 1e-10 besides",
    ),
    **{
        f"crosschecks/test_crosschecks.py::{function}": (
            frozenset({"problem"}),
            "each operator is held to its reference besides",
        )
        for function in (
            "test_a_hessian_is_symmetric",
            "test_a_jvp_is_the_jacobian_times_the_tangents",
            "test_an_hvp_is_the_hessian_times_the_tangents",
            "test_jvp_and_vjp_are_adjoint",
        )
    },
    "backends/test_backends.py::test_operator": (
        frozenset(),
        "the cross-checks have every operator on every backend, in every dtype",
    ),
    "backends/test_complex_numbers.py::test_several_derivatives_at_once_are_right": (
        frozenset(),
        "parts are compared with single calls by test_composite.py",
    ),
    "backends/test_edges.py::test_a_scan_and_its_derivatives": (
        frozenset(),
        "the cross-checks have every operator through loops on every backend",
    ),
    "backends/test_orders.py::test_what_is_taken_by_default_is_the_order_that_it_is_called": (
        frozenset(),
        "traces second derivatives twice for every backend",
    ),
    "engine/test_compiler.py::test_no_rewrite_changes_nan_inf_or_negative_zero": (
        frozenset(),
        "compiles every function; each rewrite and each kind of number stays",
    ),
    "engine/test_loops_problems.py::test_every_problem_by_loops": (
        frozenset({"name"}),
        "computes every problem twice; the loops have tests of their own",
    ),
    "judge/test_directional.py::test_differences_alone_accept_the_right_and_find_errors_of_a_thousandth": (
        frozenset(),
        "judges several results of each",
    ),
    "judge/test_directional.py::test_wrong_results_are_found": (frozenset(), "judges several results of each"),
}
#: Test function, ``file::function``, or file, below ``tests/`` -> why ``make test`` leaves it out.
THOROUGH: Mapping[str, str] = {
    "backends/test_composite.py::test_parts_have_the_bits_of_single_calls": "traces operators at every call of JAX",
    "backends/test_composite.py::test_torch_compiles_them_into_one_graph": "compiles C++",
    "backends/test_composite.py::test_traced_parts_are_those_of_single_calls": "traces every part once more",
    "engine/test_loops_problems.py::test_problems_as_machine_code": "compiles machine code for four problems",
    "backends/test_nested.py::test_the_particle_is_steered_as_published": "a descent within derivatives",
    "backends/test_nested.py::test_torch_compiles_reverse_within_reverse": "compiles C++",
    "backends/test_nested.py::test_the_saddle_is_the_published_one": "a descent within derivatives",
    "backends/test_orders.py::test_an_order_keeps_float32": "traces nested derivatives of every order once more",
    "backends/test_orders.py::test_blocks_of_two_inputs_are_right_in_every_order": "traces every order",
    "backends/test_orders.py::test_every_order_gives_the_same_second_derivatives": (
        "traces every order; the cross-checks have the default"
    ),
    "backends/test_sparse.py::test_the_entries_are_those_of_the_dense_jacobian": "computes dense Jacobians besides",
    "backends/test_tensorflow_backend.py::test_operators_through_a_scan": "traces every operator through a loop",
    "backends/test_torch_backend.py::test_every_operator_compiles_to_one_graph": "compiles C++ for every operator",
    "backends/test_torch_backend.py::test_one_process_compiles_more_functions_than_dynamo_keeps_for_a_code_object": (
        "compiles C++ for nine functions"
    ),
    "crosschecks/test_composite.py::test_every_part_is_right": "judges every row of every problem",
    "crosschecks/test_curvature.py::test_a_detected_pattern_is_the_union_of_the_true_ones": (
        "evaluates Hessians at a hundred points"
    ),
    "crosschecks/test_curvature.py::test_every_result_is_right": "judges directions of every problem, on every backend",
    "api/test_notebook.py": "runs a notebook in a kernel",
    "api/test_tables.py::test_a_report_is_one_page": "renders a whole report",
    "api/test_compare.py::test_native_functions_are_compared_with_each_other": "starts PyTorch and JAX in workers",
    "backends/test_orders.py::test_tensorflow_says_where_it_took_another_order_than_usual": "traces through a loop",
    "backends/test_sparse.py::test_a_compiled_jacobian_of_take_is_right": "compiles C++",
    "backends/test_torch_backend.py::test_a_compiled_jvp_keeps_float32": "compiles C++",
    "backends/test_torch_backend.py::test_a_compiled_tangent_that_is_zero_has_memory": "compiles C++",
    "cli/test_diff.py::test_a_run_equals_itself_and_the_next_run_is_comparable": "two whole runs",
    "cli/test_diff.py::test_rounds_of_one_distribution_are_told_apart_in_at_most_one_of_a_hundred": (
        "simulates thousands of runs for one rate"
    ),
    "cli/test_explain.py::test_diff_explains_the_change_between_two_runs": "four commands in processes of their own",
    "cli/test_formats.py::test_changes_of_two_runs": "two whole runs",
    "cli/test_main.py::test_the_selftest_says_what_was_rejected": "judges every control of the judge",
    "cli/test_main.py::test_an_interrupted_run_keeps_what_was_finished": "two interrupted runs",
    "cli/test_terminal.py::test_csv_has_the_same_fields": "a whole comparison",
    "contract/test_conformance.py::test_a_careless_backend_breaks_the_clause_that_it_should": "a run for each clause",
    "contract/test_conformance.py::test_a_right_backend_keeps_every_clause": "every clause on a real backend",
    "conventions/test_atlas.py::test_our_engine_has_no_defect": "the whole atlas of 713 cases",
    "conventions/test_agreement.py::test_the_atlas_and_the_judge_do_not_contradict_each_other": (
        "judges ten answers to each of 600 cases"
    ),
    "documents/test_documents.py::test_shown_output_is_what_the_command_prints": "runs every command of the documents",
    "documents/test_examples.py": "runs every example",
    "documents/test_readme.py": "runs the longer examples",
    "documents/test_site.py": "builds the site",
    "fuzzing/test_campaign.py::test_our_engine_has_no_finding_in_many_programs": "judges 1000 programs",
    "fuzzing/test_faults.py::test_planted_faults_are_found": "a process for each of ten planted faults",
    "fuzzing/test_generator.py::test_every_operation_is_drawn": "draws thousands of programs",
    "fuzzing/test_scripts.py::test_every_operation_is_spelled_in_the_words_of_a_framework": (
        "imports every framework in a process of its own"
    ),
    "fuzzing/test_scripts.py::test_scripts_of_a_framework_agree_where_nothing_is_wrong": (
        "imports every framework in a process of its own"
    ),
    "engine/test_compiled_problems.py::test_every_problem_through_the_adapter": "compiles every problem",
    "engine/test_opinfo.py": "hundreds of operators, each on many samples of PyTorch",
    "engine/test_compiled_rules.py": "compiles every rule twice",
    "engine/test_graph.py::test_a_deep_chain_needs_no_recursion": "a chain of a hundred thousand steps",
    "engine/test_slopes.py::test_it_has_most_digits_of_the_second_derivative": "hundreds of digits for every function",
    "engine/test_programs.py::test_many_programs": "20 000 random programs",
    "execution/test_faults.py": "a run with a broken worker for each fault",
    "execution/test_hostile.py::test_each_fault_costs_its_own_cell": "a process for each of a hundred faults",
    "execution/test_runner.py::test_doubtful_timings_are_flagged_and_reported": "a timed run for each flag",
    "explaining/test_frameworks.py": "traces the stages of a search on every framework",
    "judge/test_controls.py::test_every_error_of_the_stated_resolution_is_rejected_and_no_right_gradient": (
        "judges a thousand wrong gradients"
    ),
    "judge/test_laws.py::test_every_backend_is_judged_alike": "traces forty functions on every framework",
    "judge/test_laws.py::test_numerical_differences_alone_do_the_same": "judges forty functions once more",
    "judge/test_laws.py::test_second_derivatives_of_a_law_are_judged_right": "judges forty Hessians",
    "judge/test_magnitudes.py::test_nineteen_of_twenty_gradients_are_decided_at_any_spread": "judges 1400 functions",
    "judge/test_mutants.py::test_judge_rejects_wrong_and_accepts_right_results": "every mutant of every problem",
    "judge/test_mutants.py::test_mutants_are_equivalent_only_where_nothing_was_changed": "every mutant once more",
    "judge/test_mutants.py::test_numerical_differences_alone_do_the_same": "every mutant without closed forms",
    "judge/test_reference.py::test_numerical_differences_confirm_every_reference": "every problem",
    "packaging/test_action.py": "a process for each verb of each step of a job",
    "packaging/test_clashing_project.py::test_pytest_runs_without_the_fixture": (
        "the fixture's test runs pytest there too"
    ),
    "packaging/test_distributions.py::test_an_editable_installation_takes_the_code_of_the_clone": "one more build",
    "packaging/test_distributions.py::test_the_source_distribution_gives_the_same_wheel": "two more builds",
    "packaging/test_extras.py": "downloads JAX, and runs pip on two environments",
    "packaging/test_public_face.py::test_mypy_sees_the_types_of_the_installed_package": "mypy from an empty cache",
    "problems/test_bundle_adjustment.py::test_derivatives_are_correct_at_and_near_zero_rotation": (
        "large Jacobians on every backend"
    ),
    "problems/test_expansion.py::test_the_entries_equal_the_closed_form": "dense Jacobians of large problems",
    "problems/test_hand.py::test_a_global_rotation_below_a_tenth_of_a_milliradian_is_the_identity": (
        "large Jacobians on three backends"
    ),
    "problems/test_problems.py::test_inputs_have_the_same_bits_in_every_process": "draws all sizes in two processes",
    "problems/test_problems.py::test_no_reference_is_zero_everywhere_at_any_size": "draws the large sizes",
    "process/test_environment.py::test_verdicts_are_the_same_under_hostile_variables": "two runs in processes",
    "process/test_environment.py::test_what_is_stated_is_what_tensorflow_chooses_on_this_processor": (
        "starts TensorFlow in a process of its own"
    ),
    "process/test_environment.py::test_the_memory_of_a_call_is_measured_with_and_without_a_counter": (
        "starts TensorFlow in nine processes"
    ),
    "process/test_interpreters.py::test_two_versions_of_numpy_stand_in_one_table": "downloads another NumPy",
    "report/test_browser.py": "starts a browser for each test",
    "report/test_report.py::test_bytes_do_not_change": "draws every figure again",
    "report/test_report.py::test_bytes_of_two_runs_do_not_change": "draws every figure of two runs again",
    "report/test_report.py::test_every_figure_says_in_a_sentence_what_it_shows": "draws every figure again",
    "report/test_report.py::test_figures_of_an_earlier_rendering_are_removed_and_no_other_file": (
        "draws every figure twice"
    ),
    "report/test_report.py::test_odd_numbers_are_drawn_or_left_out": "draws the figures of six runs",
    "results/test_killed.py": "twenty runs that are killed",
    "results/test_resume.py": "two whole runs for each way of being interrupted",
    "studies/test_descent.py::test_adam_takes_the_classic_counts": "thousands of updates on every backend",
    "studies/test_descent.py::test_adam_takes_the_same_count_minimising_and_in_float32": "the same once more",
    "studies/test_descent.py::test_the_absolute_descent_takes_the_classic_counts": "tens of thousands of updates",
    "studies/test_descent.py::test_the_cubic_fit_ends_at_the_classic_point": "thousands of updates on every backend",
    "studies/test_descent.py::test_without_clearing_gradients_the_loss_swings": "thousands of updates on every backend",
    "test_gpu_check.py::test_a_cpu_stands_in_for_the_gpu": "starts PyTorch and JAX in processes",
    "timing/test_trials.py::test_both_sides_compute_the_same": "compiles every baseline of every framework",
}

#: File below ``tests/`` -> processor seconds of its tests, where they are far more than `_SHORT` for each.
LONG: Mapping[str, float] = {
    "crosschecks/test_composite.py": 130,
    "studies/test_descent.py": 100,
    "documents/test_documents.py": 90,
    "engine/test_opinfo.py": 80,
    "crosschecks/test_field.py": 70,
    "engine/test_programs.py": 60,
    "judge/test_magnitudes.py": 60,
    "fuzzing/test_scripts.py": 50,
    "crosschecks/test_curvature.py": 40,
    "explaining/test_frameworks.py": 40,
    "judge/test_mutants.py": 40,
    "report/test_browser.py": 40,
    "results/test_resume.py": 40,
    "execution/test_faults.py": 35,
    "conventions/test_agreement.py": 30,
    "conventions/test_atlas.py": 30,
    "execution/test_hostile.py": 30,
    "fuzzing/test_campaign.py": 30,
    "packaging/test_action.py": 30,
    "results/test_killed.py": 30,
    "documents/test_examples.py": 25,
    "timing/test_trials.py": 25,
    "cli/test_main.py": 20,
    "documents/test_readme.py": 20,
    "fuzzing/test_faults.py": 20,
    "process/test_environment.py": 20,
    "report/test_two_machines.py": 10,
    "fuzzing/test_searched.py": 9,
    "timing/test_retraced.py": 6,
    "cli/test_explain.py": 5,
    "cluster/test_local.py": 4,
}
#: Processor seconds that a test is taken to need.
_SHORT = 0.1


def seconds(scope: str, tests: int) -> float:
    """Return about how long the tests of a file, or of an ``xdist_group``, take: the longest are started first."""
    return max(LONG.get(scope.removeprefix("tests/"), 0.0), _SHORT * tests)


def thorough(tests: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> Iterator[tuple[str, int]]:
    """Yield the tests that ``make test`` leaves out.

    Parameters
    ----------
    tests
        Test function -> the parameters of each of its tests in their order, `None` of a test without any.

    Yields
    ------
    tuple
        The function, and the index of the test that is left out.
    """
    for function, sets in tests.items():
        if function in THOROUGH or function.partition("::")[0] in THOROUGH:
            kept: set[int] = set()
        elif function in THINNER:
            free, _ = THINNER[function]
            kept = covering([_words({n: v for n, v in (p or {}).items() if n not in free}).items() for p in sets])
        elif len(sets) > _FEW:
            # The first sets of a table of problems or backends are the quick ones: see `tests/crosschecks`.
            names = {*(sets[0] or {})}
            choose = spread if names >= {"name", "operator"} and not names & {*_BACKEND} else covering
            kept = choose([features(parameters or {}) for parameters in sets])
        else:
            continue
        yield from ((function, i) for i in range(len(sets)) if i not in kept)


def covering(sets: Sequence[Iterable[Hashable]]) -> set[int]:
    """Return indices of sets that have together every feature that any set has, the first ones with a new feature."""
    seen: set[Hashable] = set()
    kept = set()
    for i, found in enumerate(map(set, sets)):
        if not found <= seen:
            kept.add(i)
            seen |= found
    return kept


def spread(sets: Sequence[Iterable[Hashable]]) -> set[int]:
    """Return indices of sets that have together every feature that any set has, each the one with most new features.

    Unlike `covering` it lets the values of one parameter meet different values of the others: of functions and
    operators, the first function is not kept with every operator, and all others with the first operator alone.
    """
    new = [set(found) for found in sets]
    kept = set()
    while any(new):
        best = max(range(len(new)), key=lambda i: len(new[i]))
        kept.add(best)
        new = [found - new[best] for found in new]
    return kept


def features(parameters: Mapping[str, Any]) -> Iterator[Hashable]:
    """Yield what a parameter set must be kept for: each value, and the combination of operator, backend and dtype."""
    words = _words(parameters)
    yield from words.items()
    yield tuple(next((words[n] for n in names if n in words), None) for names in _COMBINED)


def few(values: Iterable[Any], count: int) -> list[Any]:
    """Return the values of a parameter, or tuples; those behind the first ``count`` are for ``make test-rest``."""
    every = list(values)
    rest = (value if isinstance(value, tuple) else (value,) for value in every[count:])
    return every[:count] + [pytest.param(*value, marks=pytest.mark.thorough) for value in rest]


def _words(parameters: Mapping[str, Any]) -> dict[str, Hashable]:
    return {name: _word(value) for name, value in parameters.items()}


def _word(value: Any) -> Hashable:
    """Return a value that compares as the parameter does: any object but text, a number or an enum is its own."""
    return value if isinstance(value, (str, int, float, Enum, type(None))) else id(value)

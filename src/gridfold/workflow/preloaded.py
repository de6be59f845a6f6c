"""The fork server of tables, figures and reports imports this module before it forks."""

from gridfold.jobs.frozen_imports import lasting

with lasting():
    import gridfold.workflow.rules.choose
    import gridfold.workflow.rules.collect
    import gridfold.workflow.rules.compare_configurations
    import gridfold.workflow.rules.draw_classes
    import gridfold.workflow.rules.draw_model
    import gridfold.workflow.rules.draw_search_figures
    import gridfold.workflow.rules.draw_test_figures
    import gridfold.workflow.rules.make_splits
    import gridfold.workflow.rules.measure_scaling
    import gridfold.workflow.rules.prepare_data
    import gridfold.workflow.rules.report
    import gridfold.workflow.rules.select_best
    import gridfold.workflow.rules.summarise  # noqa: F401

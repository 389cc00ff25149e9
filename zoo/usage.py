"""What `python -m zoo --help` says."""

USAGE = """\
usage: python -m zoo [--json] [--debug] VERB [key=value ...]

  fit    train: fit task=gnn connection=plain model.depth=32 seed=1
         continue an interrupted run: fit from=FOLDER
  test   evaluate a run again: test from=FOLDER
  sample, predict, export
         text or images from a run, answers for files, a run in another format:
         sample from=FOLDER seed=1
  compare
         a matrix of runs with statistics and a report:
         compare task=cnn,gnn connection=plain,residual model.depth=8,16 pairs=8
  report
         the reports of a comparison again, also of one under way: report FOLDER,
         or of several as one: report FOLDER FOLDER dir=FOLDER
  bench  the cost of fit over a bare loop: bench task=gnn; of every rule, of memory by
         depth, or against plain PyTorch: bench of=rules (memory, twin) task=cnn
  list   what is registered: list, list connection
  show   the composed configuration: show task=gnn

  config=FILE takes values from a YAML file, such as the config.yaml of a run
  --json      print one JSON object on stdout
  --debug     show the traceback of an error
  --version   print the version
"""

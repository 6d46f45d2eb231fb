"""Uploads the testset, runs every experiment, and writes a comparison with the last run."""

import json
import sys

from phoenix.client import Client

from evalwire import DatasetUploader, ExperimentRunner
from evalwire.config import get_dataset_config, get_experiments_config, load_config
from evalwire.results import ResultCollector
from evalwire.validator import DatasetValidator

config = load_config()
dataset, experiments = get_dataset_config(config), get_experiments_config(config)
columns = {"input_keys": dataset["input_keys"], "output_keys": dataset["output_keys"]}
found = DatasetValidator().validate(dataset["csv_path"], **columns, tag_column=dataset["tag_column"])
if not found.is_valid:
    sys.exit("\n".join(f"{issue.row}: {issue.message}" for issue in found.issues))

client = Client()
uploaded = DatasetUploader(dataset["csv_path"], client, **columns, delimiter=dataset["delimiter"]).upload(
    on_exist=dataset["on_exist"]
)
runner = ExperimentRunner(experiments["dir"], client, concurrency=experiments["concurrency"])
first = runner.run(experiment_name_prefix=experiments["prefix"], metadata={"note": "first"})
second = runner.run(names=["doc_search"], experiment_name_prefix=experiments["prefix"])

collector = ResultCollector(client)
for result in first:
    collector.export(result["experiment_id"], "csv", f"{result['experiment_id']}.csv")
compared = collector.compare(first[0]["experiment_id"], second[0]["experiment_id"])
report = collector.report(second[0]["experiment_id"])
said = {"datasets": sorted(uploaded), "runs": [len(one["task_runs"]) for one in first], "compared": compared}
sys.stdout.write(f"{json.dumps(said)}\n{report}\n")

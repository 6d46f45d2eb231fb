"""Ask a person for labels: the order of the outputs, a page on the loopback interface, and a spreadsheet."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.labeling.order import labeling_order
    from evalwire.labeling.outputs import Answer, Output, fields_of
    from evalwire.labeling.sender import Sender
    from evalwire.labeling.server import LabelingServer
    from evalwire.labeling.session import Labeling
    from evalwire.labeling.sheet import sheet_csv

__all__ = ["Answer", "Labeling", "LabelingServer", "Output", "Sender", "fields_of", "labeling_order", "sheet_csv"]

__getattr__ = lazy_names(
    __name__,
    {
        "Answer": "outputs",
        "Labeling": "session",
        "LabelingServer": "server",
        "Output": "outputs",
        "Sender": "sender",
        "fields_of": "outputs",
        "labeling_order": "order",
        "sheet_csv": "sheet",
    },
)

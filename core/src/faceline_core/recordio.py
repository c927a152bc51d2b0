"""RecordIO under a short name, for who wants that alone; the code is beside the other formats of faces."""

from faceline_core.data.recordio import RecordFile, write_records

__all__ = ["RecordFile", "write_records"]

"""The tensors of any network: files of them, fetched and read without running their code; matched, folded, added up."""

"""Kaldi data dirs, tables and archives. The only place that knows kaldiio."""

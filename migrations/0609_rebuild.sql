-- What is known of rebuilds of topics: one row, once there was one.
CREATE TABLE streams.rebuild (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  -- The options of one that was begun and has not come to its end, such as `--recreate`: until then topics lack events, and
  -- a connector that ran would write new ones behind the gap. Null when none is.
  unfinished text,
  -- What the last one looked at: it was asked for what is younger only, so what is older may be missing. Null: all.
  complete_from timestamptz
);

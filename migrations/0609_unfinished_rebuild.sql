-- A rebuild of topics that was begun and has not come to its end: until then topics lack events, or have them out of
-- their order, and a connector that ran would write new ones behind them.
CREATE TABLE streams.unfinished_rebuild (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  -- The options that decide what it removes, such as `--recreate`: whoever goes on with it has to name them again.
  options text NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Everything goes, with all rows; each table before those that it refers to. IF EXISTS lets
-- golang-migrate's own command also clear away what an up that failed half-way has left.

DROP TABLE IF EXISTS
  `Insights`,
  `InsightCategory`,
  `Transaction`,
  `TransactionBatch`,
  `TransactionCategory`,
  `Bank`,
  `UserInfo`,
  `Role`,
  `User`,
  `alembic_version`;

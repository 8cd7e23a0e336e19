-- The schema of Flowlite's database, with the names and types that its services know. It is what
-- Alembic's revision 001 makes: a database that Alembic made is adopted at this version instead.
--
-- Every id is a UUID as text. The keys beside foreign keys have the names that the server would
-- give them; they are written down because a key that the server made by itself vanishes without a
-- word as soon as a longer one begins with the same column.

CREATE TABLE `User` (
  `id_user` CHAR(36) NOT NULL,
  `username` VARCHAR(100) NOT NULL,
  `email` VARCHAR(255) NOT NULL,
  `password` VARCHAR(255) NOT NULL COMMENT 'a hash, never the password',
  `role` VARCHAR(50) NULL,
  `active` BOOLEAN NOT NULL DEFAULT TRUE,
  PRIMARY KEY (`id_user`),
  UNIQUE KEY `email` (`email`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `Role` (
  `id_role` CHAR(36) NOT NULL,
  `role_name` VARCHAR(100) NOT NULL,
  PRIMARY KEY (`id_role`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `UserInfo` (
  `id_user` CHAR(36) NOT NULL,
  `primerNombre` VARCHAR(100) NULL,
  `primerApellido` VARCHAR(100) NULL,
  `telefono` VARCHAR(20) NULL,
  `direccion` VARCHAR(255) NULL,
  `numeroIdentificacion` VARCHAR(50) NULL,
  PRIMARY KEY (`id_user`),
  FOREIGN KEY (`id_user`) REFERENCES `User` (`id_user`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `Bank` (
  `id_bank` CHAR(36) NOT NULL,
  `bank_name` VARCHAR(255) NOT NULL,
  PRIMARY KEY (`id_bank`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `TransactionCategory` (
  `id_category` CHAR(36) NOT NULL,
  `description` VARCHAR(255) NOT NULL,
  PRIMARY KEY (`id_category`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `TransactionBatch` (
  `id_batch` CHAR(36) NOT NULL,
  `process_status` VARCHAR(50) NOT NULL COMMENT 'pending, processing, completed, error',
  `start_date` DATETIME NULL,
  `end_date` DATETIME NULL,
  `batch_size` INT NULL,
  PRIMARY KEY (`id_batch`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `Transaction` (
  `id_transaction` CHAR(36) NOT NULL,
  `id_user` CHAR(36) NOT NULL,
  `id_category` CHAR(36) NULL,
  `id_bank` CHAR(36) NULL,
  `id_batch` CHAR(36) NULL,
  `transaction_name` VARCHAR(255) NOT NULL,
  `value` NUMERIC(15, 2) NOT NULL,
  `transaction_date` DATETIME NOT NULL,
  `transaction_type` VARCHAR(50) NULL,
  PRIMARY KEY (`id_transaction`),
  KEY `id_user` (`id_user`),
  KEY `id_category` (`id_category`),
  KEY `id_bank` (`id_bank`),
  KEY `id_batch` (`id_batch`),
  FOREIGN KEY (`id_user`) REFERENCES `User` (`id_user`),
  FOREIGN KEY (`id_category`) REFERENCES `TransactionCategory` (`id_category`),
  FOREIGN KEY (`id_bank`) REFERENCES `Bank` (`id_bank`),
  FOREIGN KEY (`id_batch`) REFERENCES `TransactionBatch` (`id_batch`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `InsightCategory` (
  `id_category` CHAR(36) NOT NULL,
  `description` VARCHAR(255) NOT NULL,
  PRIMARY KEY (`id_category`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `Insights` (
  `id_insight` CHAR(36) NOT NULL,
  `id_user` CHAR(36) NOT NULL,
  `id_category` CHAR(36) NULL,
  `title` VARCHAR(255) NOT NULL,
  `text` TEXT NOT NULL,
  `relevance` INT NULL,
  `created_at` DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id_insight`),
  KEY `id_user` (`id_user`),
  KEY `id_category` (`id_category`),
  FOREIGN KEY (`id_user`) REFERENCES `User` (`id_user`),
  FOREIGN KEY (`id_category`) REFERENCES `InsightCategory` (`id_category`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

-- Services look here for 001 before they start. `alembic downgrade base` leaves the table, empty.
CREATE TABLE IF NOT EXISTS `alembic_version` (
  `version_num` VARCHAR(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

REPLACE INTO `alembic_version` (`version_num`) VALUES ('001');

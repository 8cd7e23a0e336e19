-- PharmaVida's MySQL source, filled by the server itself: MySQL 8 or later, or MariaDB.
-- {{users}} and {{compras}} are numbers of rows, {{1 to …}} a table of that many numbers, {{mark}} tells
-- that the load is whole.

SET SESSION sql_mode = 'STRICT_ALL_TABLES', unique_checks = 0, foreign_key_checks = 0;

DROP TABLE IF EXISTS compra_productos, compra_cantidades, compras, users;

CREATE TABLE users (
    id       bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    dni      varchar(255),
    nombre   varchar(255),
    apellido varchar(255),
    email    varchar(255),
    role     varchar(255),
    distrito varchar(255),
    password varchar(255)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci COMMENT='demo data';

CREATE TABLE compras (
    id           bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    fecha_compra datetime,
    usuario_id   bigint,
    KEY (usuario_id),
    FOREIGN KEY (usuario_id) REFERENCES users (id)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci COMMENT='demo data';

CREATE TABLE compra_productos (
    compra_id   bigint NOT NULL,
    producto_id bigint,
    KEY (compra_id),
    FOREIGN KEY (compra_id) REFERENCES compras (id)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci COMMENT='demo data';

CREATE TABLE compra_cantidades (
    compra_id bigint NOT NULL,
    cantidad  int,
    KEY (compra_id),
    FOREIGN KEY (compra_id) REFERENCES compras (id)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci COMMENT='demo data';

START TRANSACTION;

INSERT INTO users (id, dni, nombre, apellido, email, role, distrito, password)
SELECT
    seq,
    LPAD(1000000 + seq * 7654321 % 89000000, 8, '0'),
    ELT(1 + seq * 7 % 20, 'José', 'María Fernanda', 'Ángel', 'Sofía', 'Iñaki', 'Lucía', 'Julián', 'Belén', 'Raúl', 'Ximena',
        'Óscar', 'Zoë', 'Martín', 'Rocío', 'Wálter', 'Milagros', 'Édgar', 'Inés', 'Hernán 😀', 'Flor, de María'),
    CONCAT(
        ELT(1 + seq * 3 % 20, 'Quispe', 'Huamán', 'Ñaupari', 'Mamani', 'Chávez', 'Muñoz', 'Flores', 'De la Cruz', 'Núñez', 'Salazar',
            'Peña', 'Condori', 'Ibáñez', 'O''Higgins', 'Yupanqui', 'Güere', 'Tello "el Zurdo"', 'Zúñiga', 'Ramírez', 'Castañeda'),
        ' ',
        ELT(1 + (seq * 11 + seq DIV 20) % 7, 'Rojas', 'Espinoza', 'Gutiérrez', 'Vílchez', 'Ñahui', 'Cárdenas', 'Soto')),
    IF(seq % 31 = 0, NULL, CONCAT('usuario', seq, '@', ELT(1 + seq % 3, 'correo.pe', 'ejemplo.com', 'pharmavida.example'))),
    ELT(1 + seq % 10, 'USER', 'USER', 'USER', 'USER', 'USER', 'USER', 'USER', 'USER', 'FARMACEUTICO', 'ADMIN'),
    CASE
        WHEN seq % 13 = 0 THEN NULL
        WHEN seq % 47 = 0 THEN ''
        WHEN seq % 53 = 0 THEN 'Lima Cercado,\nEdificio "Rímac", piso 2'
        ELSE ELT(1 + seq % 12, 'Miraflores', 'San Isidro', 'Santiago de Surco', 'Breña', 'Jesús María', 'San Martín de Porres', 'Ate',
                 'San Juan de Lurigancho', 'Magdalena del Mar', 'La Molina', 'Rímac', 'Villa El Salvador')
    END,
    CONCAT('$2b$10$', SUBSTRING(SHA2(seq, 256), 1, 53))
FROM {{1 to users}} AS u;

INSERT INTO compras (id, fecha_compra, usuario_id)
SELECT
    seq,
    IF(seq % 59 = 0, NULL, '2024-01-02 08:15:00' + INTERVAL (seq * 7919 % 47304000) SECOND),
    IF(seq % 43 = 0, NULL, 1 + seq * 17 % {{users}})
FROM {{1 to compras}} AS c;

-- One to four products each, each with its quantity; every eleventh purchase has neither. Their order is
-- that of the rows, for want of a column that tells it.
INSERT INTO compra_productos (compra_id, producto_id)
SELECT c.seq, 1 + (c.seq * 31 + n.seq * 17) % 300
FROM (SELECT 1 AS seq UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS n
    STRAIGHT_JOIN {{1 to compras}} AS c ON n.seq <= 1 + c.seq % 4
WHERE c.seq % 11 <> 0
ORDER BY c.seq, n.seq;

INSERT INTO compra_cantidades (compra_id, cantidad)
SELECT c.seq, 1 + (c.seq + n.seq) % 6
FROM (SELECT 1 AS seq UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS n
    STRAIGHT_JOIN {{1 to compras}} AS c ON n.seq <= 1 + c.seq % 4
WHERE c.seq % 11 <> 0
ORDER BY c.seq, n.seq;

COMMIT;

ANALYZE TABLE users, compras, compra_productos, compra_cantidades;

ALTER TABLE compra_cantidades COMMENT = '{{mark}}';

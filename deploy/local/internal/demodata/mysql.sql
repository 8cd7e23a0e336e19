-- PharmaVida's MySQL source, filled by the server itself through MariaDB's sequence engine.
-- {{users}}, {{compras}} and {{mark}} are replaced before it runs.

SET SESSION unique_checks = 0, foreign_key_checks = 0;

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
) ENGINE=InnoDB;

CREATE TABLE compras (
    id           bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    fecha_compra datetime,
    usuario_id   bigint,
    KEY (usuario_id),
    FOREIGN KEY (usuario_id) REFERENCES users (id)
) ENGINE=InnoDB;

CREATE TABLE compra_productos (
    compra_id   bigint NOT NULL,
    producto_id bigint,
    KEY (compra_id),
    FOREIGN KEY (compra_id) REFERENCES compras (id)
) ENGINE=InnoDB;

CREATE TABLE compra_cantidades (
    compra_id bigint NOT NULL,
    cantidad  int,
    KEY (compra_id),
    FOREIGN KEY (compra_id) REFERENCES compras (id)
) ENGINE=InnoDB;

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
FROM seq_1_to_{{users}};

INSERT INTO compras (id, fecha_compra, usuario_id)
SELECT
    seq,
    IF(seq % 59 = 0, NULL, '2024-01-02 08:15:00' + INTERVAL (seq * 7919 % 47304000) SECOND),
    IF(seq % 43 = 0, NULL, 1 + seq * 17 % {{users}})
FROM seq_1_to_{{compras}};

-- One to four products each, each with its quantity; every eleventh purchase has neither.
INSERT INTO compra_productos (compra_id, producto_id)
SELECT c.seq, 1 + (c.seq * 31 + n.seq * 17) % 300
FROM seq_1_to_{{compras}} AS c JOIN seq_1_to_4 AS n ON n.seq <= 1 + c.seq % 4
WHERE c.seq % 11 <> 0;

INSERT INTO compra_cantidades (compra_id, cantidad)
SELECT c.seq, 1 + (c.seq + n.seq) % 6
FROM seq_1_to_{{compras}} AS c JOIN seq_1_to_4 AS n ON n.seq <= 1 + c.seq % 4
WHERE c.seq % 11 <> 0;

COMMIT;

ANALYZE TABLE users, compras, compra_productos, compra_cantidades;

ALTER TABLE compra_cantidades COMMENT = '{{mark}}';

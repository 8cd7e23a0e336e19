#!/usr/bin/env bash
# Daily work with the running system, be it the local stack or the containers of docker compose. Called by
# make, whose help tells the targets; variables come from the environment:
#
#   operate.sh mysql-shell | backup | restore | queues | redis-cli | logs
#
#   STACK=local|compose   which one, where both run
#   FILE=…  YES=1         restore: from which file; without asking
#   FOLLOW=1              logs: go on
#
# Passwords stand in the environment of the programs that need them, never in their arguments.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
local_env=$root/.local/env
backups=$root/backups

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}

# ── Which of the two ────────────────────────────────────────────────────────────────────────────

# from_env prints the value of a variable of the local stack.
from_env() (
    # shellcheck source=/dev/null # written by make up
    . "$local_env"
    printf '%s' "${!1}"
)

answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

local_runs() {
    [ -f "$local_env" ] || return 1
    for server in MYSQL RABBITMQ REDIS; do
        if answers "$(from_env ${server}_HOST)" "$(from_env ${server}_PORT)"; then return 0; fi
    done
    return 1
}

compose_runs() {
    command -v docker >/dev/null &&
        timeout 20 docker container inspect --format '{{.State.Running}}' flowlite-mysql flowlite-rabbitmq flowlite-redis 2>/dev/null |
        grep -c true >/dev/null # to the end of its input: a pipe that breaks fails under pipefail
}

# choose sets stack to local or compose, and says which.
choose() {
    stack=${STACK:-}
    case $stack in
    local)
        [ -f "$local_env" ] || die "the local stack was never started here: make up"
        ;;
    compose)
        command -v docker >/dev/null || die "STACK=compose needs docker, which is not installed"
        ;;
    '')
        compose='' local=''
        if compose_runs; then compose=1; fi
        if local_runs; then local=1; fi
        case $local$compose in
        11) die "the local stack and the containers both run: choose with STACK=local or STACK=compose" ;;
        '') die "neither the local stack nor the containers run: start them with make up, or with docker compose up -d" ;;
        esac
        stack=local
        if [ -n "$compose" ]; then stack=compose; fi
        ;;
    *) die "STACK=$stack is neither local nor compose" ;;
    esac
    if [ "$stack" = local ]; then say "local stack (.local/env)"; else say "containers of docker compose"; fi
}

# in_container runs a command in a container, at the terminal if there is one.
in_container() {
    local terminal=(--interactive)
    if [ -t 0 ] && [ -t 1 ]; then terminal+=(--tty); fi
    docker exec "${terminal[@]}" "$@"
}

# ── MySQL ───────────────────────────────────────────────────────────────────────────────────────

# The client programs, under either name. (In single quotes, as all that the shell beside the server is to expand.)
# shellcheck disable=SC2016
clients='
client() { if command -v mariadb >/dev/null; then mariadb "$@"; else mysql "$@"; fi; }
dump() { if command -v mariadb-dump >/dev/null; then mariadb-dump "$@"; else mysqldump "$@"; fi; }
'

# beside_mysql ROLE SCRIPT runs a script where the clients of the server are, with the options for the
# connection in "$@" and Flowlite's database in MYSQL_DATABASE. ROLE is root or user.
beside_mysql() {
    local role=$1 script=$clients$2
    if [ "$stack" = compose ]; then
        # The containers have the variables that .env gives them.
        # shellcheck disable=SC2016
        case $role in
        root) set -- 'export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"; set -- --user=root;' ;;
        user) set -- 'export MYSQL_PWD="$MYSQL_PASSWORD"; set -- --user="$MYSQL_USER";' ;;
        esac
        in_container flowlite-mysql sh -c "$1 set -e; $script"
        return
    fi
    local user=root password=MYSQL_ROOT_PASSWORD
    if [ "$role" = user ]; then user=$(from_env MYSQL_USER) password=MYSQL_PASSWORD; fi
    MYSQL_PWD=$(from_env $password) MYSQL_DATABASE=$(from_env MYSQL_DATABASE) \
        sh -ec "$script" sh --no-defaults --protocol=tcp \
        --host="$(from_env MYSQL_HOST)" --port="$(from_env MYSQL_PORT)" --user="$user"
}

mysql_shell() {
    choose
    # shellcheck disable=SC2016
    beside_mysql user 'client "$@" --default-character-set=utf8mb4 "$MYSQL_DATABASE"'
}

# The whole database, so that a restore can begin with an empty one. MySQL would write GTIDs of the whole
# server into the dump, which only a new server takes; MariaDB does not know the option.
# shellcheck disable=SC2016
dump_script='
if dump --help | grep -q set-gtid-purged; then set -- "$@" --set-gtid-purged=OFF; fi
dump "$@" --single-transaction --quick --routines --triggers --events --no-tablespaces --hex-blob \
    --default-character-set=utf8mb4 "$MYSQL_DATABASE"
'

# size prints how large a file is, for people.
size() { du -h --apparent-size "$1" | cut -f1; }

backup() {
    choose
    umask 077
    mkdir -p "$backups"
    local database file
    # shellcheck disable=SC2016
    database=$(beside_mysql root 'printf %s "$MYSQL_DATABASE"' </dev/null)
    file=$backups/${database}_$(date -u +%Y%m%dT%H%M%SZ).sql.gz
    unfinished=$file.unfinished
    trap 'rm -f "$unfinished"' EXIT
    say "dumping $database"
    if ! beside_mysql root "$dump_script" </dev/null | gzip >"$unfinished"; then
        die "the dump failed; nothing is kept of it"
    fi
    whole "$unfinished" || die "the dump ended too early: its last line is missing; nothing is kept of it"
    ln "$unfinished" "$file" # unlike mv, it replaces nothing
    file=${file#"$PWD"/}
    printf '%s (%s)\nmake restore FILE=%s\n' "$file" "$(size "$file")" "$file"
}

# whole reports whether a file is a compressed dump up to its last line.
whole() {
    gzip -t "$1" 2>/dev/null && gzip -dc "$1" | tail -n 1 | grep -q '^-- Dump completed'
}

# check_file refuses a file that cannot be restored into the database.
check_file() {
    local file=$1 database=$2 of
    if [ ! -f "$file" ] || [ ! -r "$file" ]; then die "$file is not there, or not readable"; fi
    gzip -t "$file" 2>/dev/null || die "$file is damaged or cut short: gzip -t refuses it"
    whole "$file" || die "$file is not a whole dump: its last line must be \"-- Dump completed\""
    of=$(gzip -dc "$file" | sed -n '1,20s/^-- Host: .*Database: *\([^ ]*\).*/\1/p')
    if [ "$of" != "$database" ]; then die "$file is a dump of ${of:-an unknown database}, not of $database"; fi
    if gzip -dc "$file" | grep -Ec '^(USE |CREATE DATABASE)' >/dev/null; then
        die "$file chooses a database by itself (mysqldump --databases): it may not be the one to be replaced"
    fi
}

# The database's character set is kept; the rights in it are the accounts' and stay. A dump of MariaDB begins
# with a comment that older clients of MySQL take for a command.
# shellcheck disable=SC2016
restore_script='
charset=$(client "$@" --batch --skip-column-names --execute="
    SELECT CONCAT(\"CHARACTER SET \", DEFAULT_CHARACTER_SET_NAME, \" COLLATE \", DEFAULT_COLLATION_NAME)
    FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = \"$MYSQL_DATABASE\"" </dev/null)
client "$@" --execute="SET SESSION lock_wait_timeout = 60; DROP DATABASE IF EXISTS \`$MYSQL_DATABASE\`; CREATE DATABASE \`$MYSQL_DATABASE\` $charset" </dev/null
if client --version | grep -q MariaDB; then
    client "$@" --default-character-set=utf8mb4 "$MYSQL_DATABASE"
else
    sed "1{/^\/\*M!999999/d;}" | client "$@" --default-character-set=utf8mb4 "$MYSQL_DATABASE"
fi
'

restore() {
    local file=${FILE:-} database holds answer
    if [ -z "$file" ]; then die "which backup? make restore FILE=backups/…"; fi
    choose
    # shellcheck disable=SC2016
    database=$(beside_mysql root 'printf %s "$MYSQL_DATABASE"' </dev/null)
    check_file "$file" "$database"
    # shellcheck disable=SC2016
    holds=$(beside_mysql root 'client "$@" --batch --skip-column-names --execute="
        SELECT CONCAT(COUNT(*), \" tables with about \", COALESCE(SUM(TABLE_ROWS), 0), \" rows\")
        FROM information_schema.TABLES WHERE TABLE_SCHEMA = \"$MYSQL_DATABASE\""' </dev/null)
    say "The database $database holds $holds. All of it is replaced by"
    say "$file ($(size "$file"), $(date -u -r "$file" '+%Y-%m-%d %H:%M UTC'))."
    if [ "${YES:-}" != 1 ]; then
        printf 'Replace it? [y/N] ' >&2
        read -r answer || answer=''
        case $answer in
        y | Y | yes) ;;
        *) die "nothing was changed" ;;
        esac
    fi
    if ! gzip -dc "$file" | beside_mysql root "$restore_script"; then
        die "the restore failed half-way: $database is incomplete until it is restored again"
    fi
    say "restored"
}

# ── RabbitMQ, Redis, logs ───────────────────────────────────────────────────────────────────────

rabbitmqctl() {
    if [ "$stack" = compose ]; then
        in_container flowlite-rabbitmq rabbitmqctl "$@" </dev/null
        return
    fi
    HOME=$(from_env LOCAL_RABBITMQ_HOME) ERL_EPMD_PORT=$(from_env LOCAL_RABBITMQ_EPMD_PORT) \
        "$(from_env LOCAL_RABBITMQ_CTL)" -n "$(from_env LOCAL_RABBITMQ_NODENAME)" "$@"
}

# table prints lines of fields split by tabs in columns: the first line as a heading, the others sorted.
table() {
    {
        if IFS= read -r heading; then
            printf '%s\n' "$heading"
            LC_ALL=C sort
        fi
    } | awk -F '\t' '
        {
            for (i = 1; i <= NF; i++) {
                cell[NR, i] = $i == "" ? "(default)" : $i
                if (length(cell[NR, i]) > width[i]) width[i] = length(cell[NR, i])
            }
            if (NF > columns) columns = NF
        }
        END {
            for (row = 1; row <= NR; row++) {
                line = ""
                for (i = 1; i <= columns; i++) line = line sprintf("  %-" width[i] "s", cell[row, i])
                sub(/ +$/, "", line)
                print line
            }
        }'
}

queues() {
    choose
    local vhost
    if [ "$stack" = compose ]; then
        vhost=$(in_container flowlite-rabbitmq printenv RABBITMQ_DEFAULT_VHOST </dev/null || echo /)
    else
        vhost=$(from_env RABBITMQ_VHOST)
    fi
    echo "Queues of $vhost"
    rabbitmqctl list_queues --quiet --vhost "$vhost" name type messages_ready messages_unacknowledged consumers state | table
    echo "Connections"
    rabbitmqctl list_connections --quiet name user vhost state channels | table
    echo "Exchanges of $vhost"
    rabbitmqctl list_exchanges --quiet --vhost "$vhost" name type durable | table
}

redis_cli() {
    choose
    if [ "$stack" = compose ]; then
        in_container flowlite-redis redis-cli # which finds REDISCLI_AUTH in the container
        return
    fi
    REDISCLI_AUTH=$(from_env REDIS_PASSWORD) redis-cli \
        -h "$(from_env REDIS_HOST)" -p "$(from_env REDIS_PORT)" -n "$(from_env REDIS_DB)"
}

# logs are also of interest when nothing runs any more.
logs() {
    if [ -z "${STACK:-}" ] && ! compose_runs && [ -d "$root/.local/logs" ]; then STACK=local; fi
    choose
    if [ "$stack" = compose ]; then
        docker compose --project-directory "$root" logs --tail=30 ${FOLLOW:+--follow}
    else
        tail -n 30 ${FOLLOW:+-F} "$root"/.local/logs/*.log
    fi
}

case ${1:-} in
mysql-shell) mysql_shell ;;
backup) backup ;;
restore) restore ;;
queues) queues ;;
redis-cli) redis_cli ;;
logs) logs ;;
*) die "usage: ${0##*/} mysql-shell | backup | restore | queues | redis-cli | logs" ;;
esac

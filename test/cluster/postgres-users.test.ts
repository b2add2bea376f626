/** Bindings' users inside real PostgreSQL servers: what they may do, how they come and go. */
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { type Client, DatabaseError } from 'pg'
import { type Account, Unreachable } from '../../shared/kubedb/databases/database.ts'
import { connect } from '../../shared/kubedb/databases/users/postgres.ts'
import { isAlive, roles, usersOver } from './binding-users.ts'
import { installations, type Server, Servers } from './postgres-server.ts'

const denied = '42501'

function login({ name, password }: Account, database = 'app') {
  return { user: name, password, database }
}

const { using, bind, unbind, bindEach, createAtOnce, wholeLife, ...claims } = usersOver(connect)

/** @returns the SQLSTATE with which the work ended, or `ok` */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (error instanceof DatabaseError) return error.code ?? ''
    throw error
  }
}

/** @returns how a statement would end, without its effect where that can be undone */
async function attempt(server: Server, statement: string, as: ReturnType<typeof login>): Promise<string> {
  const result = await outcome(server.query(`BEGIN; ${statement}; ROLLBACK`, as))
  // refused inside a transaction before privileges are looked at
  return result === '25001' ? outcome(server.query(statement, as)) : result
}

/** @returns the first column of the first row */
async function value(work: Promise<unknown[]>): Promise<unknown> {
  const [row] = await work
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined
}

for (const installation of installations()) {
  const servers = new Servers(installation)
  let shared: Promise<Server> | undefined
  /** most tests can live with what others left in the server */
  const common = () => {
    shared ??= servers.start('max_prepared_transactions = 5')
    return shared
  }
  const title = (text: string) => `${installation.title}: ${text}`
  test.after.always(title('end the servers'), () => servers.stop())

  test.serial(title('each role may do what it is for, and nothing beyond'), async (t) => {
    const server = await common()
    const bound = await bindEach(server)
    await server.query(
      `CREATE TABLE books (id serial PRIMARY KEY, title text); INSERT INTO books (title) VALUES ('one');
       CREATE VIEW titles AS SELECT title FROM books; CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'`,
      login(bound.owner),
    )
    const expectations: [statement: string, owner: string, readWrite: string, readOnly: string][] = [
      ['SELECT * FROM books', 'ok', 'ok', 'ok'],
      ['SELECT * FROM titles', 'ok', 'ok', 'ok'],
      ['SELECT two()', 'ok', 'ok', 'ok'],
      ['SELECT last_value FROM books_id_seq', 'ok', 'ok', 'ok'],
      ["INSERT INTO books (title) VALUES ('more')", 'ok', 'ok', denied],
      ["UPDATE books SET title = 'other' WHERE id = 1", 'ok', 'ok', denied],
      ['DELETE FROM books WHERE id = 2', 'ok', 'ok', denied],
      ["SELECT setval('books_id_seq', 1000)", 'ok', 'ok', denied],
      ['CREATE TEMPORARY TABLE t (x int)', 'ok', 'ok', denied],
      ["SELECT lo_from_bytea(0, 'x')", 'ok', 'ok', denied],
      ['SELECT lo_create(0)', 'ok', 'ok', denied],
      ['TRUNCATE books', 'ok', denied, denied],
      ['ALTER TABLE books ADD COLUMN c int', 'ok', denied, denied],
      ['CREATE TABLE other (x int)', 'ok', denied, denied],
      ['CREATE SCHEMA other', 'ok', denied, denied],
      ['CREATE EXTENSION hstore', 'ok', denied, denied],
      ['ALTER DATABASE app SET work_mem = 65536', 'ok', denied, denied],
      ['DROP TABLE books CASCADE', 'ok', denied, denied],
      ['SET ROLE osb_owner', 'ok', denied, denied],
      ['SET ROLE osb_read_write', denied, 'ok', denied],
      ['SET ROLE postgres', denied, denied, denied],
      ['SELECT rolpassword FROM pg_authid', denied, denied, denied],
      ['SELECT passwd FROM pg_shadow', denied, denied, denied],
      ['CREATE ROLE another', denied, denied, denied],
      ['CREATE DATABASE another', denied, denied, denied],
      ['DROP DATABASE postgres', denied, denied, denied],
      ['ALTER DATABASE app RENAME TO other', denied, denied, denied],
      ["ALTER ROLE postgres PASSWORD 'x'", denied, denied, denied],
      [`ALTER ROLE ${bound.owner.name} SUPERUSER`, denied, denied, denied],
      [`GRANT osb_owner TO ${bound.readOnly.name}`, denied, denied, denied],
      ['GRANT pg_read_all_data TO CURRENT_USER', denied, denied, denied],
      ["COPY (SELECT 1) TO PROGRAM 'id'", denied, denied, denied],
      ["COPY pg_class TO '/tmp/classes'", denied, denied, denied],
      ["SELECT pg_read_file('postgresql.conf')", denied, denied, denied],
      ["SELECT pg_ls_dir('.')", denied, denied, denied],
      ['ALTER SYSTEM SET work_mem = 65536', denied, denied, denied],
      ['SELECT pg_reload_conf()', denied, denied, denied],
      ['CREATE EXTENSION file_fdw', denied, denied, denied],
      ["SELECT lo_import('/etc/passwd')", denied, denied, denied],
      ['SET SESSION AUTHORIZATION postgres', denied, denied, denied],
      ['SET session_replication_role = replica', denied, denied, denied],
      ['ALTER ROLE osb_owner LOGIN', denied, denied, denied],
      ["COMMENT ON ROLE osb_owner IS 'set up'", denied, denied, denied],
      [`ALTER ROLE ${bound.readWrite.name} PASSWORD 'x'`, denied, 'ok', denied],
      [`SET ROLE ${bound.owner.name}`, 'ok', denied, denied],
      ["CREATE FUNCTION c() RETURNS int LANGUAGE c AS 'libc.so.6', 'rand'", denied, denied, denied],
      ["LOAD '/tmp/library.so'", denied, denied, denied],
      ['CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION two()', denied, denied, denied],
      ["SELECT pg_create_physical_replication_slot('s')", denied, denied, denied],
      [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        denied,
        denied,
        denied,
      ],
      ['ALTER DATABASE postgres SET work_mem = 65536', denied, denied, denied],
      ['GRANT CONNECT ON DATABASE postgres TO PUBLIC', denied, denied, denied],
    ]
    const administrator = await server.client()
    for (const [statement, ...expected] of expectations) {
      for (const [index, role] of roles.entries()) {
        t.is(
          await attempt(server, statement, login(bound[role])),
          expected[index] ?? '',
          `${role}: ${statement}`,
        )
      }
    }
    await administrator.end()
    for (const role of roles) {
      for (const database of ['postgres', 'template1']) {
        t.is(
          await outcome(server.query('SELECT 1', login(bound[role], database))),
          denied,
          `${role}: ${database}`,
        )
      }
    }
  })

  test.serial(
    title('what one owner makes, another can change, and the other roles use at once'),
    async (t) => {
      const server = await common()
      const [first, second] = [await bind(server), await bind(server)]
      const [writer, reader] = [await bind(server, 'readWrite'), await bind(server, 'readOnly')]
      await server.query(
        'CREATE SCHEMA shop; CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY, what text)',
        login(first),
      )
      await server.query(
        'ALTER TABLE shop.orders ADD COLUMN price int; CREATE TABLE shop.carts ()',
        login(second),
      )
      await server.query('ALTER TABLE shop.carts ADD COLUMN x int', login(first))
      await server.query("INSERT INTO shop.orders (what, price) VALUES ('book', 7)", login(writer))
      t.deepEqual(await server.query('SELECT what, price FROM shop.orders', login(reader)), [
        { what: 'book', price: 7 },
      ])
      t.is(await outcome(server.query('DELETE FROM shop.orders', login(reader))), denied)
      await server.query('DROP SCHEMA shop CASCADE', login(second))
    },
  )

  test.serial(title('an owner can use trusted extensions, and replace schema public'), async (t) => {
    const server = await common()
    const [owner, reader] = [await bind(server), await bind(server, 'readOnly')]
    await server.query(
      'DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION pg_trgm',
      login(owner),
    )
    await server.query("CREATE TABLE words AS SELECT 'broker' AS word", login(owner))
    const found = server.query(
      "SELECT word FROM words WHERE similarity(word, 'brokers') > 0.5",
      login(reader),
    )
    t.deepEqual(await found, [{ word: 'broker' }])
  })

  test.serial(title('the first binds of an instance may come all at once'), async (t) => {
    const server = await servers.start()
    await claims.assertAllAtOnce(t, server, 20, async (accounts) => {
      const [owner, writer, reader] = accounts
      if (owner === undefined || writer === undefined || reader === undefined) return t.fail()
      await server.query('CREATE TABLE t (x int)', login(owner))
      await server.query('INSERT INTO t VALUES (1)', login(writer))
      t.is(await value(server.query('SELECT x FROM t', login(reader))), 1)
      // all with something to hand over, at once
      await Promise.all(
        accounts
          .filter(({ role }) => role === 'owner')
          .map((made) => server.query(`SET ROLE NONE; CREATE TABLE ${made.name} (x int)`, login(made))),
      )
    })
  })

  test.serial(title('one account made many times at once is made once'), async (t) => {
    const server = await common()
    const made = await createAtOnce(server, 8)
    t.is(await value(server.query('SELECT 1', login(made))), 1)
  })

  test.serial(title('a first bind that was cut off is carried on by the next'), async (t) => {
    const halves = {
      'one group': 'CREATE ROLE osb_owner',
      'a group of another kind': 'CREATE ROLE osb_read_only LOGIN CREATEROLE',
      'a database without privileges': 'CREATE DATABASE app',
      'a database with the right owner': 'CREATE ROLE osb_owner; CREATE DATABASE app OWNER osb_owner',
    }
    for (const [half, statements] of Object.entries(halves)) {
      const server = await servers.start()
      for (const statement of statements.split('; ')) await server.query(statement)
      const [owner, reader] = [await bind(server), await bind(server, 'readOnly')]
      await server.query('CREATE TABLE t (x int)', login(owner))
      t.is(await outcome(server.query('SELECT * FROM t', login(reader))), 'ok', half)
      t.is(await outcome(server.query('CREATE TABLE u (x int)', login(reader))), denied, half)
      t.is(await outcome(server.query('SELECT 1', login(owner, 'postgres'))), denied, half)
      t.is(await outcome(server.query('CREATE ROLE x', login(reader))), denied, half)
      await server.stop()
    }
  })

  test.serial(title('what is in the database before the first bind is for all roles'), async (t) => {
    const server = await servers.start()
    await server.query('CREATE DATABASE app')
    await server.query(
      'CREATE SCHEMA old; CREATE TABLE old.things (id serial, x int); CREATE TABLE public.more (x int)',
      { database: 'app' },
    )
    const [owner, writer, reader] = [
      await bind(server),
      await bind(server, 'readWrite'),
      await bind(server, 'readOnly'),
    ]
    await server.query('INSERT INTO old.things (x) VALUES (1); INSERT INTO more VALUES (2)', login(writer))
    t.is(await value(server.query('SELECT old.things.x + more.x FROM old.things, more', login(reader))), 3)
    t.is(await outcome(server.query('TRUNCATE old.things; CREATE TABLE old.new (x int)', login(owner))), 'ok')
    await server.stop()
  })

  test.serial(
    title('a database that a person makes later is closed to bindings from the next bind on'),
    async (t) => {
      const server = await common()
      const owner = await bind(server)
      await server.query('CREATE DATABASE later')
      t.is(await outcome(server.query('SELECT 1', login(owner, 'later'))), 'ok')
      await bind(server, 'readOnly')
      t.is(await outcome(server.query('SELECT 1', login(owner, 'later'))), denied)
      await server.query('DROP DATABASE later')
    },
  )

  test.serial(title('privileges that an owner took from the other roles stay taken'), async (t) => {
    const server = await common()
    const [owner, reader] = [await bind(server), await bind(server, 'readOnly')]
    await server.query('CREATE TABLE secret (x int); REVOKE ALL ON secret FROM osb_read_only', login(owner))
    await server.query('CREATE DATABASE later')
    await bind(server)
    t.is(await outcome(server.query('SELECT * FROM secret', login(reader))), denied)
    await server.query('DROP DATABASE later')
  })

  test.serial(title("the application's database may have any name"), async (t) => {
    const server = await servers.start()
    for (const name of [
      'a"b',
      'ünï ☃ "; DROP ROLE postgres; --',
      "a'b\\c$$",
      ' ',
      '-c role=x',
      'x'.repeat(63),
      'osb_owner',
      'postgres',
    ]) {
      const [owner, reader] = [
        await bind(server, 'owner', { database: name }),
        await bind(server, 'readOnly', { database: name }),
      ]
      t.is(await value(server.query('SELECT current_database()', login(owner, name))), name)
      await server.query('CREATE TABLE t (x int)', login(owner, name))
      t.is(await outcome(server.query('SELECT * FROM t', login(reader, name))), 'ok', name)
      await server.query('SET ROLE NONE; CREATE TABLE own (x int)', login(owner, name))
      await unbind(server, owner)
      t.is(await outcome(server.query('SELECT 1', login(owner, name))), '28P01', name)
    }
    for (const name of ['', 'x'.repeat(64), 'ü'.repeat(32), 'a\0b', 'template0', 'template1']) {
      const error = await t.throwsAsync(bind(server, 'owner', { database: name }), undefined, name)
      t.false(error instanceof Unreachable)
    }
    await server.stop()
  })

  test.serial(title('create repairs whatever is wrong with an account, and works() sees it'), async (t) => {
    const server = await common()
    const other = await bind(server)
    const damages: Record<string, (name: string) => string> = {
      'another password': (name) => `ALTER ROLE ${name} PASSWORD 'other'`,
      'an MD5 password': (name) => `SET password_encryption = md5; ALTER ROLE ${name} PASSWORD 'other'`,
      'no password': (name) => `ALTER ROLE ${name} PASSWORD NULL`,
      'no login': (name) => `ALTER ROLE ${name} NOLOGIN`,
      'no connections': (name) => `ALTER ROLE ${name} CONNECTION LIMIT 0`,
      'an end': (name) => `ALTER ROLE ${name} VALID UNTIL '2020-01-01'`,
      'no inheritance': (name) => `ALTER ROLE ${name} NOINHERIT`,
      'too much power': (name) => `ALTER ROLE ${name} SUPERUSER CREATEROLE`,
      'no membership': (name) => `REVOKE osb_owner, osb_read_write, osb_read_only FROM ${name}`,
      'another membership': (name) => `GRANT pg_read_all_data TO ${name}`,
      "another binding's rights": (name) => `GRANT ${other.name} TO ${name}`,
      'a membership to pass on': (name) =>
        `DO $$ DECLARE held name; BEGIN
           SELECT roleid::regrole INTO held FROM pg_auth_members WHERE member = '${name}'::regrole;
           EXECUTE format('GRANT %I TO ${name} WITH ADMIN OPTION', held); END $$`,
      'another start': (name) => `ALTER ROLE ${name} SET role = 'none'`,
      'another start in the database': (name) => `ALTER ROLE ${name} IN DATABASE app SET role = 'none'`,
      gone: (name) => `DROP ROLE ${name}`,
    }
    for (const role of roles) {
      const made = await bind(server, role)
      for (const [damage, statement] of Object.entries(damages)) {
        const harm = async () => {
          await server.query(statement(made.name))
        }
        await claims.assertRepaired(t, server, made, harm, `${role}: ${damage}`)
        const group = { owner: 'osb_owner', readWrite: made.name, readOnly: made.name }[role]
        t.is(await value(server.query('SELECT current_user', login(made))), group, `${role}: ${damage}`)
      }
      await unbind(server, made)
    }
  })

  test.serial(title('a membership granted by somebody else goes too'), async (t) => {
    const server = await common()
    const made = await bind(server, 'readOnly')
    const harm = async () => {
      await server.query(
        `CREATE ROLE granter SUPERUSER; GRANT osb_owner TO granter WITH ADMIN OPTION;
         SET ROLE granter; GRANT osb_owner TO ${made.name} GRANTED BY CURRENT_USER; RESET ROLE`,
      )
    }
    await claims.assertRepaired(t, server, made, harm, 'a membership of somebody else')
    await server.query('DROP OWNED BY granter; DROP ROLE granter')
  })

  test.serial(title('create leaves an account alone that is right already'), async (t) => {
    const server = await common()
    const made = await bind(server)
    // a user's own preference is no damage
    await server.query('SET ROLE NONE; ALTER ROLE CURRENT_USER SET work_mem = 65536', login(made))
    const verifier = () =>
      value(server.query(`SELECT rolpassword FROM pg_authid WHERE rolname = '${made.name}'`))
    const before = await verifier()
    await using(server.admin(), (users) => users.create(made))
    t.is(await verifier(), before)
    t.is(await value(server.query('SHOW work_mem', login(made))), '64MB')
  })

  test.serial(
    title('works is false for an account that is not there, or has another password or role'),
    async (t) => {
      await claims.assertOnlyItselfWorks(t, await common())
    },
  )

  test.serial(title('drop ends live sessions and keeps the data'), async (t) => {
    const server = await common()
    const [gone, stays] = [await bind(server), await bind(server)]
    await server.query('CREATE TABLE kept (x int); INSERT INTO kept VALUES (7)', login(gone))
    const [idle, busy, other] = [
      await server.client(login(gone)),
      await server.client(login(gone)),
      await server.client(login(stays)),
    ]
    // a lock on what has to be handed over
    await idle.query('SET ROLE NONE; CREATE TABLE mine (x int)')
    await idle.query('BEGIN; LOCK TABLE mine')
    const sleeping = outcome(busy.query('SELECT pg_sleep(60)'))
    await unbind(server, gone)
    t.is(await sleeping, '57P01')
    t.false(await isAlive(idle))
    t.true(await isAlive(other))
    t.is(await outcome(server.query('SELECT 1', login(gone))), '28P01')
    t.is(await value(other.query('SELECT x FROM kept').then(({ rows }) => rows)), 7)
    await other.end()
  })

  test.serial(
    title('what a binding owns by itself goes to the owners, and its privileges vanish'),
    async (t) => {
      const server = await common()
      const [gone, stays, reader] = [await bind(server), await bind(server), await bind(server, 'readOnly')]
      await server.query(
        `SET ROLE NONE;
       CREATE TABLE own (x int); INSERT INTO own VALUES (1); CREATE SCHEMA own_schema; CREATE TYPE own_type AS (x int);
       CREATE FUNCTION own_function() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lo_create(4711);
       ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${reader.name};
       GRANT SELECT ON own TO ${reader.name} WITH GRANT OPTION; CREATE PUBLICATION own_publication;
       RESET ROLE;
       CREATE TABLE policed (x int); ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
       CREATE POLICY p ON policed TO ${gone.name} USING (true);
       GRANT SELECT ON policed TO ${gone.name} WITH GRANT OPTION;
       SET ROLE NONE; GRANT SELECT ON policed TO ${reader.name}`,
        login(gone),
      )
      await server.query('CREATE DATABASE elsewhere')
      await server.query(`ALTER DATABASE elsewhere OWNER TO ${gone.name}`)
      await server.query(`CREATE TABLE here (x int); ALTER TABLE here OWNER TO ${gone.name}`, {
        database: 'elsewhere',
      })
      await unbind(server, gone)
      t.is(await value(server.query(`SELECT count(*)::int FROM pg_roles WHERE rolname = '${gone.name}'`)), 0)
      t.is(await value(server.query('ALTER TABLE own ADD COLUMN y int; SELECT x FROM own', login(stays))), 1)
      await server.query(
        'DROP SCHEMA own_schema; DROP FUNCTION own_function(); DROP TYPE own_type',
        login(stays),
      )
      await server.query('DROP PUBLICATION own_publication; SELECT lo_unlink(4711)', login(stays))
      t.is(
        await value(
          server.query("SELECT tableowner FROM pg_tables WHERE tablename = 'here'", {
            database: 'elsewhere',
          }),
        ),
        'osb_owner',
      )
      await server.query('DROP DATABASE elsewhere')
    },
  )

  test.serial(title('a transaction that a binding prepared ends with it'), async (t) => {
    const server = await common()
    const gone = await bind(server)
    await server.query('SET ROLE NONE; CREATE TABLE t2pc (x int)', login(gone))
    const client = await server.client(login(gone))
    for (const statement of [
      'SET ROLE NONE',
      'BEGIN',
      'INSERT INTO t2pc VALUES (1)',
      'LOCK TABLE t2pc',
      "PREPARE TRANSACTION 'it''s mine'",
    ]) {
      await client.query(statement)
    }
    await client.end()
    await unbind(server, gone)
    t.is(await value(server.query('SELECT count(*)::int FROM pg_prepared_xacts')), 0)
    t.is(await value(server.query('SELECT count(*)::int FROM t2pc', { database: 'app' })), 0)
  })

  test.serial(
    title('drop waits a little for a lock on what is handed over, then says so, and can be repeated'),
    async (t) => {
      const server = await common()
      const [gone, stays] = [await bind(server), await bind(server)]
      await server.query(
        `SET ROLE NONE; CREATE TABLE locked (x int); GRANT ALL ON locked TO osb_owner`,
        login(gone),
      )
      const holder = await server.client(login(stays))
      await holder.query('BEGIN; LOCK TABLE locked')
      const error = await t.throwsAsync(unbind(server, gone), { instanceOf: Unreachable })
      t.regex(error.message, /lock timeout/)
      t.is(await outcome(server.query('SELECT 1', login(gone))), '28000')
      await holder.end()
      await unbind(server, gone)
      t.is(await outcome(server.query('SELECT 1', login(gone))), '28P01')
    },
  )

  test.serial(title('what a database that takes no connections holds back is said'), async (t) => {
    const server = await common()
    const gone = await bind(server)
    await server.query('CREATE DATABASE closed')
    await server.query(`CREATE TABLE x (); ALTER TABLE x OWNER TO ${gone.name}`, { database: 'closed' })
    await server.query('ALTER DATABASE closed ALLOW_CONNECTIONS false')
    const error = await t.throwsAsync(unbind(server, gone), { message: /"closed".*takes no connections/ })
    t.false(error instanceof Unreachable)
    await server.query('ALTER DATABASE closed ALLOW_CONNECTIONS true')
    await unbind(server, gone)
    await server.query('DROP DATABASE closed')
  })

  test.serial(
    title('drop may be repeated, be done by two at once, and come after a person did it'),
    async (t) => {
      const server = await common()
      const [twice, together, byHand] = [await bind(server), await bind(server), await bind(server)]
      await unbind(server, twice)
      await unbind(server, twice)
      await server.query('SET ROLE NONE; CREATE TABLE contested (x int)', login(together))
      await Promise.all([unbind(server, together), unbind(server, together), unbind(server, together)])
      const session = await server.client(login(byHand))
      await server.query(`DROP ROLE ${byHand.name}`)
      t.true(await isAlive(session))
      await unbind(server, byHand)
      t.false(await isAlive(session))
      const left = await using(server.admin(), (users) => users.list())
      for (const { name } of [twice, together, byHand]) t.false(left.includes(name))
    },
  )

  test.serial(title('drop and create touch no name that is not ours'), async (t) => {
    const server = await common()
    await server.query(`CREATE ROLE bystander LOGIN`)
    await claims.assertLeavesOthersAlone(t, server, ['bystander', 'postgres', 'osb_owner'])
    await server.query('DROP ROLE bystander')
  })

  test.serial(title('an owner can neither trap nor hinder the administrator'), async (t) => {
    const server = await servers.start()
    const [owner, gone] = [await bind(server), await bind(server)]
    // functions, operators and views that would be called in place of PostgreSQL's own
    await server.query(
      `CREATE SCHEMA trap; CREATE TABLE trap.caught (who text);
       GRANT ALL ON SCHEMA trap TO PUBLIC; GRANT ALL ON trap.caught TO PUBLIC;
       CREATE FUNCTION trap.catch() RETURNS text LANGUAGE sql
         AS 'INSERT INTO trap.caught VALUES (current_user) RETURNING who';
       CREATE FUNCTION trap.compare(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT trap.catch() IS NOT NULL';
       CREATE OPERATOR trap.!~ (leftarg = name, rightarg = text, function = trap.compare);
       CREATE OPERATOR trap.= (leftarg = name, rightarg = text, function = trap.compare);
       CREATE FUNCTION trap.current_database() RETURNS text LANGUAGE sql AS 'SELECT trap.catch()';
       CREATE VIEW trap.pg_namespace AS SELECT trap.catch()::name AS nspname;
       CREATE VIEW trap.pg_prepared_xacts AS SELECT trap.catch() AS gid, 'x'::name AS owner, 'x'::text AS database`,
      login(owner),
    )
    await server.query('SET ROLE NONE; CREATE TABLE own (x int); CREATE SCHEMA "☃"', login(gone))
    await server.query(
      `ALTER DATABASE app SET search_path = trap, pg_catalog; ALTER DATABASE app SET role = 'osb_owner';
       ALTER DATABASE app SET lock_timeout = 1;
       ALTER DATABASE app SET default_transaction_isolation = 'serializable';
       ALTER DATABASE app SET client_encoding = 'LATIN1'; ALTER DATABASE app SET standard_conforming_strings = off`,
      login(owner),
    )
    // who steps into the trap is caught
    await server.query('SELECT * FROM pg_namespace', login(owner))
    t.deepEqual(await server.query('SELECT who FROM trap.caught', login(owner)), [{ who: 'osb_owner' }])
    await server.query(
      `ALTER DATABASE app SET default_transaction_read_only = on; ALTER DATABASE app SET statement_timeout = 1;
       ALTER DATABASE app CONNECTION LIMIT 0`,
      login(owner),
    )
    // the set-up runs inside the database once more, then the removal
    await server.query('COMMENT ON ROLE osb_owner IS NULL')
    await bind(server, 'readOnly')
    await unbind(server, gone)
    await server.query('ALTER DATABASE app RESET ALL')
    t.deepEqual(await server.query('SELECT who FROM trap.caught', { database: 'app' }), [
      { who: 'osb_owner' },
    ])
    t.false(await using(server.admin(), async (users) => (await users.list()).includes(gone.name)))
    await server.stop()
  })

  test.serial(title('a commit waits for no standby'), async (t) => {
    const server = await servers.start("synchronous_standby_names = 'missing'")
    const made = await bind(server)
    t.is(await value(server.query('SELECT 1', login(made))), 1)
    await unbind(server, made)
    await server.stop()
  })

  test.serial(
    title('drop ends sessions on a standby too, and a dead standby does not hinder it'),
    async (t) => {
      const server = await servers.start()
      const standby = await server.standby()
      const gone = await bind(server)
      let session: Client | undefined
      for (let waited = 0; session === undefined && waited < 10_000; waited += 50) {
        session = await standby.client(login(gone)).catch(() => undefined)
        if (session === undefined) await sleep(50)
      }
      if (session === undefined) return t.fail('the account did not reach the standby')
      // port 1 answers nobody
      const hosts = ['127.0.0.1', `127.0.0.1:${standby.port}`, '127.0.0.1:1']
      await using(server.admin({ hosts }), (users) => users.drop(gone.name))
      t.false(await isAlive(session))
      await standby.stop()
      await server.stop()
    },
  )

  test.serial(title('no log of the server holds a password'), async (t) => {
    const server = await servers.start(
      "log_statement = 'all'\nlog_min_messages = debug1\nlog_min_duration_statement = 0",
    )
    const made = await wholeLife(server, (name) => `ALTER ROLE ${name} PASSWORD NULL`)
    const log = await server.log()
    t.regex(log, /ALTER ROLE "b.*PASSWORD/s)
    t.false(log.includes(made.password))
    t.false(log.includes(server.admin().password))
    await server.stop()
  })
}

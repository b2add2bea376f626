/** Bindings' users inside real servers that speak MySQL's protocol: what they may do, how they come and go. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection } from 'mysql2/promise'
import { type Account, Unreachable } from '../../shared/kubedb/databases/database.ts'
import { mysql } from '../../shared/kubedb/databases/mysql.ts'
import { connect } from '../../shared/kubedb/databases/users/mysql.ts'
import type { Role } from '../../shared/values/nouns.ts'
import { isAlive, roles, usersOver } from './binding-users.ts'
import { type Login, type Make, makes, type Server, testsWith } from './mysql-server.ts'

function login({ name, password }: Account, database = 'app'): Login {
  return { user: name, password, database }
}

const { using, bind, unbind, bindEach, createAtOnce, wholeLife, ...claims } = usersOver((admin) =>
  connect(admin, 'the server'),
)

/** @returns `ok`, `denied` for any lack of a privilege, or the error's name */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (!(error instanceof Error && 'errno' in error && 'code' in error)) throw error
    // of a database, a table, a column, a routine, a global privilege, an unknown user in one's own name, SET_USER_ID
    const denials = [1044, 1045, 1142, 1143, 1227, 1370, 1410, 3530, 1698, 4151]
    return denials.includes(Number(error.errno)) ? 'denied' : String(error.code)
  }
}

/** @returns the first column of the first row */
async function value(work: Promise<unknown[][]>): Promise<unknown> {
  return (await work)[0]?.[0]
}

for (const make of makes) testsOf(make)

function testsOf(make: Make): void {
  const { servers, testServer } = testsWith(make)
  let shared: Promise<Server> | undefined
  /** most tests can live with what others left in the server */
  const common = () => {
    shared ??= servers.start()
    return shared
  }

  testServer('each role may do what it is for, and nothing beyond', async (t) => {
    const server = await common()
    const bound = await bindEach(server)
    const owner = await server.client(login(bound.owner))
    for (const statement of [
      'CREATE TABLE books (id int AUTO_INCREMENT PRIMARY KEY, title varchar(100))',
      "INSERT INTO books (title) VALUES ('one'), ('two')",
      'CREATE VIEW titles AS SELECT title FROM books',
      'CREATE FUNCTION two() RETURNS int RETURN 2',
      "CREATE PROCEDURE add_book() INSERT INTO books (title) VALUES ('more')",
    ]) {
      await owner.query(statement)
    }
    await server.query('CREATE DATABASE other')
    await server.query('CREATE TABLE other.secrets (x int)')
    const me = (role: Role) => `\`${bound[role].name}\`@'%'`
    const denied = 'denied'
    const expectations: [statement: string, owner: string, readWrite: string, readOnly: string][] = [
      ['SELECT * FROM books', 'ok', 'ok', 'ok'],
      ['SELECT * FROM titles', 'ok', 'ok', 'ok'],
      ['SHOW CREATE VIEW titles', 'ok', 'ok', 'ok'],
      ['SHOW CREATE TABLE books', 'ok', 'ok', 'ok'],
      ['SELECT two()', 'ok', 'ok', denied],
      ['CALL add_book()', 'ok', 'ok', denied],
      ["INSERT INTO books (title) VALUES ('more')", 'ok', 'ok', denied],
      ["UPDATE books SET title = 'other' WHERE id = 1", 'ok', 'ok', denied],
      ['DELETE FROM books WHERE id = 2', 'ok', 'ok', denied],
      ["REPLACE INTO books VALUES (1, 'one')", 'ok', 'ok', denied],
      ['CREATE TEMPORARY TABLE t (x int)', 'ok', 'ok', denied],
      ['LOCK TABLES books WRITE', 'ok', 'ok', denied],
      ['TRUNCATE books', 'ok', denied, denied],
      ['ALTER TABLE books ADD COLUMN c int', 'ok', denied, denied],
      ['CREATE INDEX i ON books (title)', 'ok', denied, denied],
      ['CREATE TABLE more (x int)', 'ok', denied, denied],
      ['CREATE VIEW v AS SELECT 1', 'ok', denied, denied],
      ['CREATE PROCEDURE p() SELECT 1', 'ok', denied, denied],
      ['CREATE FUNCTION f() RETURNS int RETURN 1', 'ok', denied, denied],
      ["CREATE TRIGGER tr BEFORE INSERT ON books FOR EACH ROW SET NEW.title = 'x'", 'ok', denied, denied],
      ['CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1', 'ok', denied, denied],
      ['ALTER EVENT e DISABLE', 'ok', denied, denied],
      ['DROP EVENT e', 'ok', denied, denied],
      ['DROP TRIGGER tr', 'ok', denied, denied],
      ['DROP PROCEDURE p', 'ok', denied, denied],
      ['ALTER DATABASE app CHARACTER SET utf8mb4', 'ok', denied, denied],
      ['DROP TABLE more', 'ok', denied, denied],
      ['CREATE DATABASE another', denied, denied, denied],
      ['SELECT * FROM other.secrets', denied, denied, denied],
      ['DROP DATABASE other', denied, denied, denied],
      ['CREATE TABLE other.mine (x int)', denied, denied, denied],
      ['CREATE TABLE mysql.mine (x int)', denied, denied, denied],
      ['SELECT * FROM mysql.user', denied, denied, denied],
      ['UPDATE mysql.db SET Db = 1', denied, denied, denied],
      ["CREATE USER another IDENTIFIED BY 'x'", denied, denied, denied],
      ["ALTER USER root IDENTIFIED BY 'x'", denied, denied, denied],
      [`ALTER USER ${me('owner')} REQUIRE SSL`, denied, denied, denied],
      [`GRANT SELECT ON app.* TO ${me('readOnly')}`, denied, denied, denied],
      [`GRANT INSERT ON app.books TO ${me('readOnly')}`, denied, denied, denied],
      [`GRANT ALL ON *.* TO ${me('owner')}`, denied, denied, denied],
      [`REVOKE SELECT ON app.* FROM ${me('readWrite')}`, denied, denied, denied],
      ['CREATE ROLE r', denied, denied, denied],
      [`CREATE DEFINER = 'root'@'%' VIEW w AS SELECT * FROM mysql.user`, denied, denied, denied],
      ["CREATE DEFINER = 'root'@'%' PROCEDURE q() SELECT 1", denied, denied, denied],
      [`SHOW CREATE USER root`, denied, denied, denied],
      ['SHOW GRANTS FOR root', denied, denied, denied],
      ["SELECT 1 INTO OUTFILE '/tmp/x'", denied, denied, denied],
      ["LOAD DATA INFILE '/etc/passwd' INTO TABLE books", denied, denied, denied],
      ['SET GLOBAL max_connections = 10', denied, denied, denied],
      ['SET GLOBAL event_scheduler = OFF', denied, denied, denied],
      ['SET SESSION sql_log_bin = 0', denied, denied, denied],
      ['FLUSH TABLES WITH READ LOCK', denied, denied, denied],
      ['FLUSH PRIVILEGES', denied, denied, denied],
      ['SHUTDOWN', denied, denied, denied],
      ["INSTALL PLUGIN x SONAME 'x.so'", denied, denied, denied],
      ["CREATE FUNCTION loaded RETURNS string SONAME 'loaded.so'", denied, denied, denied],
      ['SHOW BINARY LOGS', denied, denied, denied],
      [make.title === 'MySQL' ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS', denied, denied, denied],
      ['KILL 1', 'ER_NO_SUCH_THREAD', 'ER_NO_SUCH_THREAD', 'ER_NO_SUCH_THREAD'],
    ]
    for (const [statement, ...expected] of expectations) {
      // the owner last: what it drops is gone
      for (const [index, role] of [...roles.entries()].reverse()) {
        const result = await outcome(server.query(statement, login(bound[role])))
        // a thread of the server itself may have the number
        const seen = statement.startsWith('KILL') && result !== 'ok' ? 'ER_NO_SUCH_THREAD' : result
        t.is(seen, expected[index] ?? '', `${role}: ${statement}`)
      }
    }
    await owner.end()
    for (const role of roles) {
      for (const database of ['mysql', 'other', 'sys']) {
        t.is(
          await outcome(server.query('SELECT 1', login(bound[role], database))),
          denied,
          `${role}: ${database}`,
        )
      }
      const databases = (await server.query('SHOW DATABASES', login(bound[role]))).flat()
      t.false(databases.includes('other') || databases.includes('mysql'))
      // others' sessions and their statements
      const users = await server.query(
        'SELECT DISTINCT USER FROM information_schema.PROCESSLIST',
        login(bound[role]),
      )
      t.deepEqual(users, [[bound[role].name]])
    }
    await server.query('DROP DATABASE other')
  })

  testServer('what one owner makes, another can change, and the other roles use at once', async (t) => {
    const server = await common()
    const [first, second] = [await bind(server), await bind(server)]
    const [writer, reader] = [await bind(server, 'readWrite'), await bind(server, 'readOnly')]
    await server.query('CREATE TABLE orders (what text, price int)', login(first))
    await server.query('ALTER TABLE orders ADD COLUMN note text', login(second))
    await server.query("INSERT INTO orders VALUES ('book', 7, '')", login(writer))
    t.deepEqual(await server.query('SELECT what, price FROM orders', login(reader)), [['book', 7]])
    await server.query('DROP TABLE orders', login(second))
  })

  testServer('the first binds of an instance may come all at once', async (t) => {
    const server = await servers.start()
    await claims.assertAllAtOnce(t, server, 15, async ([owner, writer, reader]) => {
      if (owner === undefined || writer === undefined || reader === undefined) return t.fail()
      await server.query('CREATE TABLE t (x int)', login(owner))
      await server.query('INSERT INTO t VALUES (1)', login(writer))
      t.is(await value(server.query('SELECT x FROM t', login(reader))), 1)
    })
    await server.stop()
  })

  testServer(
    'one account made many times at once is made once, and dropped many times at once is dropped',
    async (t) => {
      const server = await common()
      const made = await createAtOnce(server, 8)
      t.is(await value(server.query('SELECT 1', login(made))), 1)
      await Promise.all(Array.from({ length: 4 }, () => unbind(server, made)))
      t.is(await outcome(server.query('SELECT 1', login(made))), 'denied')
      t.false(await using(server.admin(), async (users) => (await users.list()).includes(made.name)))
    },
  )

  testServer("the application's database may have any name, and only that database is reached", async (t) => {
    const server = await common()
    const names = [
      'a`b',
      "it's",
      'a"b',
      'ünï "; DROP USER root; -- ',
      '-- x',
      'under_score',
      'per%cent',
      '#',
      'x'.repeat(64),
    ]
    for (const name of names.map((one) => one.trim())) {
      const neighbour = name.replace(/[_%]/g, 'X')
      if (neighbour !== name) await server.query(`CREATE DATABASE \`${neighbour}\``)
      const [owner, reader] = [
        await bind(server, 'owner', { database: name }),
        await bind(server, 'readOnly', { database: name }),
      ]
      t.is(await value(server.query('SELECT DATABASE()', login(owner, name))), name)
      await server.query('CREATE TABLE t (x int)', login(owner, name))
      t.is(await outcome(server.query('SELECT * FROM t', login(reader, name))), 'ok', name)
      await using(server.admin({ database: name }), async (users) => t.true(await users.works(owner), name))
      if (neighbour !== name) {
        t.is(await outcome(server.query('SELECT 1', login(owner, neighbour))), 'denied', name)
        await server.query(`DROP DATABASE \`${neighbour}\``)
      }
      await unbind(server, owner)
      t.is(await outcome(server.query('SELECT 1', login(owner, name))), 'denied', name)
    }
    for (const name of [
      '',
      'x'.repeat(65),
      'a\0b',
      'a/b',
      'a ',
      'mysql',
      'SYS',
      'information_schema',
      '☃'.repeat(65),
    ]) {
      const error = await t.throwsAsync(bind(server, 'owner', { database: name }), undefined, name)
      t.false(error instanceof Unreachable, name)
    }
  })

  testServer('create repairs whatever is wrong with an account, and works() sees it', async (t) => {
    const server = await common()
    await server.query('CREATE ROLE powerful')
    const real = make.title === 'MySQL'
    const damages: Record<string, (user: string, name: string) => string[]> = {
      'another password': (user) => [`ALTER USER ${user} IDENTIFIED BY 'other'`],
      'no password': (user) => [`ALTER USER ${user} IDENTIFIED BY ''`],
      'no login': (user) => [`ALTER USER ${user} ACCOUNT LOCK`],
      'an expired password': (user) => [`ALTER USER ${user} PASSWORD EXPIRE`],
      'an end': (user) => [`ALTER USER ${user} PASSWORD EXPIRE INTERVAL 1 DAY`],
      'a demand for TLS': (user) => [`ALTER USER ${user} REQUIRE SSL`],
      'few connections': (user) => [`ALTER USER ${user} WITH MAX_USER_CONNECTIONS 1`],
      'no privileges': (user) => [`REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${user}`],
      'a privilege less': (user) => [`REVOKE SELECT ON app.* FROM ${user}`],
      'too much power': (user) => [`GRANT ALL PRIVILEGES ON *.* TO ${user} WITH GRANT OPTION`],
      'the right to pass it on': (user) => [`GRANT SELECT ON app.* TO ${user} WITH GRANT OPTION`],
      'another database': (user) => [`GRANT SELECT ON other.* TO ${user}`],
      'a table of another database': (user) => [`GRANT SELECT ON mysql.user TO ${user}`],
      'a role': (user) => [`GRANT powerful TO ${user}`],
      'a second account': (_, name) => [`CREATE USER \`${name}\`@'10.%' IDENTIFIED BY 'x'`],
      'only another account': (user, name) => [`RENAME USER ${user} TO \`${name}\`@'10.%'`],
      gone: (user) => [`DROP USER ${user}`],
      ...(real
        ? {
            'a lock after failures': (user: string) => [
              `ALTER USER ${user} FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1`,
            ],
          }
        : {}),
    }
    for (const role of roles) {
      const made = await bind(server, role)
      const user = `\`${made.name}\`@'%'`
      for (const [damage, statements] of Object.entries(damages)) {
        const harm = async () => {
          for (const statement of statements(user, made.name)) await server.query(statement)
        }
        await claims.assertRepaired(t, server, made, harm, `${role}: ${damage}`)
        t.is(await value(server.query('SELECT CURRENT_USER()', login(made))), `${made.name}@%`, damage)
      }
      await unbind(server, made)
    }
    await server.query('DROP ROLE powerful')
  })

  testServer('create leaves an account alone that is right already', async (t) => {
    const server = await common()
    const made = await bind(server, 'readWrite')
    const verifier = () =>
      value(server.query(`SELECT HEX(authentication_string) FROM mysql.user WHERE User = '${made.name}'`))
    const before = await verifier()
    await using(server.admin(), (users) => users.create(made))
    t.is(await verifier(), before)
  })

  testServer(
    'works is false for an account that is not there, or has another password or role',
    async (t) => {
      await claims.assertOnlyItselfWorks(t, await common())
    },
  )

  testServer('drop ends live sessions, rolls back what they had begun, and keeps the data', async (t) => {
    const server = await common()
    const [gone, stays] = [await bind(server), await bind(server)]
    await server.query('CREATE TABLE kept (x int)', login(gone))
    await server.query('INSERT INTO kept VALUES (7)', login(gone))
    await server.query('CREATE TABLE locked (x int)', login(gone))
    const clients = await Promise.all([gone, gone, gone, stays].map((one) => server.client(login(one))))
    const [idle, busy, locking, other] = clients
    if (!idle || !busy || !locking || !other) return t.fail()
    for (const client of clients) client.on('error', () => undefined)
    await idle.query('BEGIN')
    await idle.query('INSERT INTO kept VALUES (8)')
    await locking.query('LOCK TABLES locked WRITE')
    const sleeping = busy.query('SELECT SLEEP(60)').then(
      () => 'ok',
      () => 'cut off',
    )
    await unbind(server, gone)
    t.is(await sleeping, 'cut off')
    for (const client of [idle, busy, locking]) t.false(await isAlive(client))
    t.true(await isAlive(other))
    t.is(await outcome(server.query('SELECT 1', login(gone))), 'denied')
    t.deepEqual(await server.query('SELECT x FROM kept', login(stays)), [[7]])
    await other.end()
  })

  testServer('what an unbound owner defined goes on working, and its account is nobody’s', async (t) => {
    const server = await common()
    const [gone, stays, reader] = [await bind(server), await bind(server), await bind(server, 'readOnly')]
    const client = await server.client(login(gone))
    for (const statement of [
      'CREATE TABLE facts (x int)',
      'CREATE TABLE ticks (at datetime DEFAULT now())',
      'CREATE VIEW seen AS SELECT x FROM facts',
      'CREATE PROCEDURE add_fact() SQL SECURITY DEFINER INSERT INTO facts VALUES (1)',
      'CREATE FUNCTION half(n int) RETURNS int RETURN n / 2',
      'CREATE TRIGGER doubled BEFORE INSERT ON facts FOR EACH ROW SET NEW.x = NEW.x * 2',
      'CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks VALUES ()',
    ]) {
      await client.query(statement)
    }
    await client.end()
    await unbind(server, gone)
    await server.query('CALL add_fact()', login(stays))
    t.deepEqual(await server.query('SELECT x FROM seen', login(reader)), [[2]])
    t.is(await value(server.query('SELECT half(8)', login(stays))), 4)
    await server.query('DELETE FROM ticks', login(stays))
    for (
      let waited = 0;
      (await server.query('SELECT * FROM ticks', login(stays))).length === 0;
      waited += 100
    ) {
      if (waited > 5000) return t.fail('the event does not run any more')
      await sleep(100)
    }
    t.is(await outcome(server.query('SELECT 1', login(gone))), 'denied')
    // the sweep does not find it again and again
    t.false(await using(server.admin(), async (users) => (await users.list()).includes(gone.name)))
    t.false(await using(server.admin(), (users) => users.works(gone)))
    await unbind(server, gone)
    // another owner replaces or removes what there is
    for (const statement of [
      'DROP EVENT tick',
      'DROP VIEW seen',
      'DROP TABLE facts',
      'DROP PROCEDURE add_fact',
      'DROP FUNCTION half',
    ]) {
      t.is(await outcome(server.query(statement, login(stays))), 'ok', statement)
    }
    const left = () => value(server.query(`SELECT COUNT(*) FROM mysql.user WHERE User = '${gone.name}'`))
    t.is(Number(await left()), 1)
    // now it is needed no more: whichever removal comes next takes it along
    await unbind(server, reader)
    t.is(Number(await left()), 0)
  })

  testServer(
    'an account that is kept for what it defined becomes a user again when it is bound again',
    async (t) => {
      const server = await common()
      const made = await bind(server)
      await server.query('CREATE VIEW again AS SELECT 1 AS x', login(made))
      await unbind(server, made)
      await using(server.admin(), async (users) => {
        await users.create(made)
        t.true(await users.works(made))
        t.true((await users.list()).includes(made.name))
      })
      t.is(await value(server.query('SELECT x FROM again', login(made))), 1)
      await server.query('DROP VIEW again', login(made))
    },
  )

  testServer(
    'drop ends sessions on every member, and one that does not answer does not hinder it',
    async (t) => {
      const [server, member] = [await common(), await servers.start()]
      const gone = await bind(server)
      // as replication would have brought it there
      await using(member.admin(), (users) => users.create(gone))
      await member.query(`ALTER USER \`${gone.name}\`@'%' ACCOUNT LOCK`)
      await member.query(`ALTER USER \`${gone.name}\`@'%' ACCOUNT UNLOCK`)
      const session = await member.client(login(gone))
      session.on('error', () => undefined)
      await member.query(`ALTER USER \`${gone.name}\`@'%' ACCOUNT LOCK`)
      t.true(await isAlive(session))
      // port 1 answers nobody
      await unbind(server, gone, { members: [server.address, member.address, '127.0.0.1:1'] })
      t.false(await isAlive(session))
      await member.stop()
    },
  )

  testServer('drop may come after a person did it, and ends the sessions that were left', async (t) => {
    const server = await common()
    const byHand = await bind(server)
    const session = await server.client(login(byHand))
    session.on('error', () => undefined)
    await server.query(`DROP USER \`${byHand.name}\`@'%'`)
    t.true(await isAlive(session))
    await unbind(server, byHand)
    t.false(await isAlive(session))
    await unbind(server, byHand)
  })

  testServer('drop and create touch no name that is not ours', async (t) => {
    const server = await common()
    await server.query("CREATE USER bystander IDENTIFIED BY 'x'")
    await claims.assertLeavesOthersAlone(t, server, ['bystander', 'root'])
    await server.query('DROP USER bystander')
  })

  testServer('no log of the server holds a password', async (t) => {
    const server = await servers.start(
      'general_log = ON\nlog_output = TABLE\nslow_query_log = ON\nlong_query_time = 0',
    )
    const made = await wholeLife(server, (name) => `ALTER USER \`${name}\`@'%' ACCOUNT LOCK`)
    const statements = await server.query('SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log')
    const slow = await server.query('SELECT CONVERT(sql_text USING utf8mb4) FROM mysql.slow_log')
    const log = [...statements, ...slow].flat().join('\n') + (await server.log())
    t.regex(log, /CREATE USER `b[\s\S]*ALTER USER `b/)
    t.false(log.includes(made.password))
    t.false(log.includes('Of the administrator'))
    await server.stop()
  })

  testServer('credentials are all that a driver needs, whatever is in them', async (t) => {
    const server = await common()
    const hostile = {
      name: `b${'z'.repeat(26)}`,
      password: 'p@ss:/?#[]%&=+ \'"\\ü',
      role: 'readWrite',
    } as const
    const database = 'da ta-base%1'
    const admin = server.admin({ database })
    await using(admin, (users) => users.create(hostile))
    const credentials = JSON.parse(
      JSON.stringify(mysql.credentials({ ...admin, hosts: [admin.host] }, hostile)),
    )
    const connection = await createConnection(String(credentials.uri))
    const [rows] = await connection.query('SELECT DATABASE() AS d, CURRENT_USER() AS u')
    t.deepEqual(JSON.parse(JSON.stringify(rows)), [{ d: database, u: `${hostile.name}@%` }])
    await connection.end()
    const { host, port, username: user, password } = credentials
    await (await createConnection({ host, port, user, password, database: credentials.database })).end()
    // as MySQL Connector/J reads it: the scheme's own prefix before a URL
    const jdbc = new URL(String(credentials.jdbcUrl).replace(/^jdbc:/, ''))
    t.is(decodeURIComponent(jdbc.pathname), `/${database}`)
    t.is(jdbc.searchParams.get('user'), hostile.name)
    t.is(jdbc.searchParams.get('password'), hostile.password)
    await using(admin, (users) => users.drop(hostile.name))
  })
}

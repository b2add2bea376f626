import { Connection, createConnection } from 'mysql2'
import { offerOf } from '../../test/support/offers.ts'
import { type Driver, Ear, hearing, type Rename } from '../talk.ts'
import { withUsersAndDisk } from './engine.ts'

type Done = (error: Error | null, result: unknown) => void

/** Undefined stands for a connection that was refused: a server without TLS is asked for it all the same. */
type Session = Connection | undefined

const driver: Driver = {
  async listen(user, act) {
    const ear = new Ear<Connection, Session>(
      (connection) => new Promise((resolve) => (connection ? connection.end(resolve) : resolve(undefined))),
    )
    const { query, end } = Connection.prototype
    const addCommand: unknown = Reflect.get(Connection.prototype, 'addCommand')
    if (typeof addCommand !== 'function') throw new Error('mysql2 has no addCommand any more')
    const methods = {
      /** The first command of a connection is to open it. */
      addCommand(this: Connection, ...rest: unknown[]): unknown {
        if (!ear.knows(this)) {
          const answered = ear.connects(this, opening(this))
          this.once('connect', answered).once('error', answered)
        }
        return Reflect.apply(addCommand, this, rest)
      },
      query(this: Connection, statement: string, values: readonly unknown[], done: Done): unknown {
        const answered = ear.says(this, (connection, rename) => told(connection, rename, statement, values))
        const heard: Done = (error, result) => {
          answered()
          done(error, result)
        }
        return Reflect.apply(query, this, [statement, values, heard])
      },
      end(this: Connection, done: () => void): unknown {
        const answered = ear.ends(this)
        const heard = () => {
          answered()
          done()
        }
        return Reflect.apply(end, this, [heard])
      },
    }
    await hearing(Connection.prototype, methods, act)
    return ear.talk(user)
  },
}

/** @returns opens one like it */
function opening({ config }: Connection): () => Promise<Session> {
  const { host = '', port = 0, user = '', password = '', ssl } = config
  return () =>
    new Promise((resolve, reject) => {
      const connection = createConnection({
        ...{ host, port, user, password, connectTimeout: 10_000, supportBigNumbers: true },
        ...(ssl && { ssl }),
      })
      connection.once('connect', () => resolve(connection))
      connection.once('error', (error) => {
        connection.destroy()
        if ('code' in error && error.code === 'HANDSHAKE_NO_SSL_SUPPORT') resolve(undefined)
        else reject(error)
      })
    })
}

function told(
  connection: Session,
  rename: Rename,
  statement: string,
  values: readonly unknown[],
): Promise<unknown> {
  const renamed = values.map((value) => (typeof value === 'string' ? rename(value) : value))
  return new Promise((resolve, reject) => {
    if (!connection) throw new Error('a statement on a connection that was refused')
    connection.query(rename(statement), renamed, (error, result) => (error ? reject(error) : resolve(result)))
  })
}

export const mysql = withUsersAndDisk('MySQL', offerOf('mysql', 'small'), driver)

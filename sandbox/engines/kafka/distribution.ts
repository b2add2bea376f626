/** The program of Kafka: the jars of a whole server. */
import { join } from 'node:path'
import type { Java } from '../programs/java.ts'
import * as maven from '../programs/maven.ts'

const release = '4.2.0'

const dependency = (group: string, name: string, version: string) =>
  `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`

const wanted: maven.Wanted = {
  title: 'Kafka',
  folder: `kafka-${release}-1`,
  oldest: 17,
  project: (folder) => ({
    dependencies:
      dependency('org.apache.kafka', 'kafka_2.13', release) +
      dependency('org.slf4j', 'slf4j-simple', '1.7.36'),
    goals: [
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(folder, 'jars')}`,
    ],
  }),
}

export interface Distribution {
  /** folder of its jars */
  readonly jars: string
  readonly java: Java
}

/** @returns true, or the sentence that says what to install */
export function available(cache?: string): Promise<true | string> {
  return maven.available(wanted, cache)
}

/** Fetches the server once. Throws what is missing or failed. */
export async function distribution(cache?: string): Promise<Distribution> {
  const { folder, java } = await maven.fetched(wanted, cache)
  return { jars: join(folder, 'jars'), java }
}

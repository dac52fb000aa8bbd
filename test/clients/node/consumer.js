// SPDX-License-Identifier: Apache-2.0

// Consumes with kafkajs, which commits once a second what this program has resolved.
'use strict'

const { Kafka, logLevel } = require('kafkajs')

const way = `${process.env.KAFKA_PROTOCOL} ${process.env.KAFKA_COMMIT}`
if (way !== 'classic auto') {
  throw new Error(`KAFKA_PROTOCOL, KAFKA_COMMIT: ${way}: only "classic auto" is possible`)
}
console.log('client', require('kafkajs/package.json').version)

const refreshMillis = 3000
const kafka = new Kafka({ brokers: [process.env.KAFKA_BROKER], logLevel: logLevel.WARN })
const consumer = kafka.consumer({
  groupId: process.env.KAFKA_GROUP,
  metadataMaxAge: refreshMillis,
  maxWaitTimeInMs: 500,
})

async function eachBatch ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary }) {
  let resolved = false
  for (const message of batch.messages) {
    if (message.value.toString() !== 'hold') {
      resolveOffset(message.offset)
      resolved = true
    }
  }
  await commitOffsetsIfNecessary()
  await heartbeat()
  if (!resolved) {
    // What is held is fetched again until more has come: not at once.
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

async function main () {
  await consumer.connect()
  await consumer.subscribe({ topics: process.env.KAFKA_TOPICS.split(','), fromBeginning: true })
  await consumer.run({ autoCommitInterval: 1000, eachBatchAutoResolve: false, eachBatch })
}

main().catch(error => {
  console.error('failed:', error)
  process.exit(1)
})
process.on('SIGTERM', () => consumer.disconnect().finally(() => process.exit(0)))

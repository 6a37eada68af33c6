/** The Kubernetes manifests: each by the schema of its kind, and all of them against each other and against the services. */
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim'
import { Service } from 'kubernetes-models/v1/Service'
import { parse, parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { describe, expect, test } from 'vitest'
import { PORTS } from '@hearth/shared/api'
import { read } from './compose-file.ts'

const FOLDER = 'deploy/kubernetes'
const MODELS = {
  ConfigMap,
  Deployment,
  NetworkPolicy,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  ScaledObject,
  Service,
}
const OWN = ['orchestrator', 'stt', 'tts', 'embeddings'] as const
const DRAIN_SECONDS = 30

const Manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.enum([
    'ConfigMap',
    'Deployment',
    'NetworkPolicy',
    'PersistentVolumeClaim',
    'PodDisruptionBudget',
    'ScaledObject',
    'Service',
  ]),
  metadata: z.looseObject({ name: z.string() }),
})
const Kustomization = z.object({
  resources: z.array(z.string()),
  images: z.array(z.object({ name: z.string(), newTag: z.string() })),
})
const kustomization = Kustomization.parse(parse(read(`${FOLDER}/kustomization.yaml`)))
const manifests = kustomization.resources.flatMap((file) =>
  parseAllDocuments(read(`${FOLDER}/${file}`)).map((document) => Manifest.parse(document.toJS())),
)
const named = manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const)

const Env = z.array(z.object({ name: z.string(), value: z.string() }))
const Container = z.looseObject({
  image: z.string(),
  env: Env,
  ports: z.array(z.object({ containerPort: z.number() })),
  readinessProbe: z.object({ httpGet: z.object({ path: z.string() }) }),
  livenessProbe: z.object({ httpGet: z.object({ path: z.string() }) }),
  resources: z.object({ limits: z.object({ cpu: z.string(), memory: z.string() }) }),
  securityContext: z.object({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
  }),
})
const Pod = z.looseObject({
  automountServiceAccountToken: z.literal(false),
  terminationGracePeriodSeconds: z.number(),
  securityContext: z.looseObject({ runAsNonRoot: z.literal(true), runAsUser: z.literal(1000) }),
  containers: z.tuple([Container]),
  volumes: z.array(z.looseObject({ persistentVolumeClaim: z.object({ claimName: z.string() }).optional() })),
})
const DeploymentSpec = z.looseObject({ template: z.looseObject({ spec: Pod }) })

const find = (kind: string, name: string) =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)
const podOf = (name: string) => DeploymentSpec.parse(find('Deployment', name)?.['spec']).template.spec

test.each(named)('%s is what its schema says', (_name, manifest) => {
  const Model = MODELS[manifest.kind]
  expect(() => Reflect.construct(Model, [manifest]).validate()).not.toThrow()
})

describe.each(OWN)('%s', (name) => {
  const pod = podOf(name)
  const [container] = pod.containers
  const env = Object.fromEntries(container.env.map((one) => [one.name, one.value]))

  test('is reached at the port that everybody knows', () => {
    expect(container.ports).toEqual([expect.objectContaining({ containerPort: PORTS[name] })])
    expect(find('Service', name)).toMatchObject({ spec: { ports: [{ port: PORTS[name] }] } })
    expect(env[`${name.toUpperCase()}_PORT`]).toBe(`${PORTS[name]}`)
  })

  test('is asked whether it lives and whether it is ready', () => {
    expect(container.livenessProbe.httpGet.path).toBe('/health')
    expect(container.readinessProbe.httpGet.path).toBe('/ready')
  })

  test('has as many processors as threads, and time to finish', () => {
    expect(container.resources.limits.cpu).toBe(env['CHAT_THREADS'] ?? env[`${name.toUpperCase()}_THREADS`])
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(DRAIN_SECONDS + 5)
  })

  test('has an image with a version, and volumes that are asked for', () => {
    expect(kustomization.images).toContainEqual({
      name: container.image,
      newTag: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    })
    const claims = pod.volumes.flatMap((volume) => volume.persistentVolumeClaim?.claimName ?? [])
    for (const claim of claims) expect(find('PersistentVolumeClaim', claim)).toBeDefined()
  })
})

describe.each(['stt', 'tts', 'embeddings'] as const)('the replicas of %s', (name) => {
  test('are found one by one, go one at a time, and follow the load', () => {
    expect(find('Service', name)).toMatchObject({ spec: { clusterIP: 'None' } })
    expect(find('PodDisruptionBudget', name)).toMatchObject({ spec: { maxUnavailable: 1 } })
    expect(find('ScaledObject', name)).toMatchObject({ spec: { scaleTargetRef: { name } } })
    const [container] = podOf('orchestrator').containers
    const url = container.env.find((one) => one.name === `${name.toUpperCase()}_URL`)?.value
    expect(url).toBe(`http://${name}:${PORTS[name]}`)
  })
})

test('the scaler asks for metrics that the orchestrator has', () => {
  const sources = read('services/orchestrator/src/jobs/metrics.ts')
  const asked = read(`${FOLDER}/scaling.yaml`).match(/hearth_\w+/g) ?? []
  expect(asked).toHaveLength(2)
  for (const name of asked) expect(sources).toContain(`'${name}'`)
})

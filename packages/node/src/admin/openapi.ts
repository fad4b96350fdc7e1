import { jsonSchemaTransformObject } from 'fastify-type-provider-zod'

type TransformObject = typeof jsonSchemaTransformObject

interface Document {
  readonly components?: { schemas?: Record<string, unknown> }
}

/**
 * Leaves out of the description what no path refers to: each schema comes in one form for what is sent and one for what is
 * received, and mostly one of them is used.
 */
export const withoutUnusedSchemas: TransformObject = (input) => {
  const document = jsonSchemaTransformObject(input)
  const { components } = document as Document
  if (components?.schemas !== undefined) {
    const text = JSON.stringify(document)
    components.schemas = Object.fromEntries(
      Object.entries(components.schemas).filter(([name]) => text.includes(`"#/components/schemas/${name}"`)),
    )
  }
  return document
}

import { jsonSchemaTransformObject } from 'fastify-type-provider-zod'

type TransformObject = typeof jsonSchemaTransformObject

interface Document {
  readonly components?: { schemas?: Record<string, unknown> }
}

/**
 * Removes schemas that no path refers to: each schema has one form for requests and one for responses, and mostly only one
 * of them is used.
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

// Decides on insurance claims: a model picks which agents to hear. One of them lives in this process, the other is Python.

import { openai } from "@ai-sdk/openai";
import * as restate from "@restatedev/restate-sdk";
import { durableCalls } from "@restatedev/vercel-ai-middleware";
import { generateText, stepCountIs, tool, wrapLanguageModel } from "ai";

import { type ClaimInput, ClaimInputSchema, type InsuranceClaim, InsuranceClaimSchema } from "./claims.ts";
import { eligibilityAgent } from "./eligibility_agent.ts";

// What fraud_agent.py looks like from here: its name, its handlers, what they take and give.
const fraudAgent: restate.ServiceDefinition<
  "FraudAgent",
  { run: (ctx: restate.Context, claim: InsuranceClaim) => Promise<string> }
> = { name: "FraudAgent" };

const run = async (ctx: restate.Context, claim: ClaimInput) => {
  const model = wrapLanguageModel({
    model: openai("gpt-5.4"),
    middleware: durableCalls(ctx, { maxRetryAttempts: 3 }),
  });

  const { text } = await generateText({
    model,
    prompt: `Claim: ${JSON.stringify(claim)}`,
    system:
      "You are a claim approval engine. Analyze the claim and use your tools to decide whether to approve.",
    tools: {
      analyzeEligibility: tool({
        description: "Analyze claim eligibility.",
        inputSchema: InsuranceClaimSchema,
        execute: async (claim: InsuranceClaim) =>
          ctx.serviceClient(eligibilityAgent).run(claim),
      }),
      analyzeFraud: tool({
        description: "Analyze probability of fraud.",
        inputSchema: InsuranceClaimSchema,
        execute: async (claim: InsuranceClaim) =>
          ctx.serviceClient(fraudAgent).run(claim),
      }),
    },
    stopWhen: [stepCountIs(10)],
    providerOptions: { openai: { parallelToolCalls: false } },
  });

  return text;
};

const agent = restate.service({
  name: "MultiAgentClaimApproval",
  handlers: {
    run: restate.createServiceHandler({ input: restate.serde.schema(ClaimInputSchema) }, run),
  },
});

restate.serve({ services: [agent, eligibilityAgent] });

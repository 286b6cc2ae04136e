// SPDX-License-Identifier: BSD-3-Clause
// rte_flow's entry into the card: thin, the work is done in Card and Templates.
#include "flows/emudpu/registry.hpp"
#include "flows/emudpu/templates.hpp"

namespace gannet::emudpu {
namespace {

template <typename To, typename From>
To* handle(From* from) {
  return reinterpret_cast<To*>(from);
}

Card& card_of(const rte_eth_dev* device) { return *port_of(device).card; }

int validate(rte_eth_dev* device, const rte_flow_attr* attr, const rte_flow_item items[],
             const rte_flow_action actions[], rte_flow_error* error) {
  return card_of(device).validate(port_of(device), *attr, items, actions, error);
}

rte_flow* create(rte_eth_dev* device, const rte_flow_attr* attr, const rte_flow_item items[],
                 const rte_flow_action actions[], rte_flow_error* error) {
  return handle<rte_flow>(card_of(device).create(port_of(device), *attr, items, actions, error));
}

int destroy(rte_eth_dev* device, rte_flow* flow, rte_flow_error* error) {
  return card_of(device).destroy(handle<Rule>(flow), error);
}

int flush(rte_eth_dev* device, rte_flow_error* error) {
  return card_of(device).flush(port_of(device), error);
}

int query(rte_eth_dev* device, rte_flow* flow, const rte_flow_action* action, void* data,
          rte_flow_error* error) {
  return card_of(device).query(handle<Rule>(flow), action, data, error);
}

int isolate(rte_eth_dev* device, int set, rte_flow_error*) {
  return card_of(device).isolate(port_of(device), set != 0);
}

int get_aged_flows(rte_eth_dev* device, void** contexts, std::uint32_t room,
                   rte_flow_error* error) {
  return card_of(device).aged_flows(port_of(device), contexts, room, error);
}

int pick_transfer_proxy(rte_eth_dev* device, std::uint16_t* proxy, rte_flow_error*) {
  *proxy = card_of(device).ports()[0]->port_id;
  return 0;
}

rte_flow_action_handle* create_indirect(rte_eth_dev* device, const rte_flow_indir_action_conf*,
                                        const rte_flow_action* action, rte_flow_error* error) {
  return handle<rte_flow_action_handle>(
      card_of(device).create_indirect(port_of(device), *action, error));
}

int destroy_indirect(rte_eth_dev* device, rte_flow_action_handle* action, rte_flow_error* error) {
  return card_of(device).destroy_indirect(handle<IndirectAction>(action), error);
}

int update_indirect(rte_eth_dev* device, rte_flow_action_handle* action, const void* update,
                    rte_flow_error* error) {
  return card_of(device).update_indirect(handle<IndirectAction>(action), update, error);
}

int query_indirect(rte_eth_dev* device, const rte_flow_action_handle* action, void* data,
                   rte_flow_error* error) {
  return card_of(device).query_indirect(handle<const IndirectAction>(action), data, error);
}

// The template API.

template <typename F>
auto with_templates(const rte_eth_dev* device, F call) {
  Card& card = card_of(device);
  const std::lock_guard guard(card.lock());
  return call(card.templates());
}

int info_get(rte_eth_dev* device, rte_flow_port_info* port_info, rte_flow_queue_info* queue_info,
             rte_flow_error* error) {
  return with_templates(device,
                        [&](Templates& t) { return t.info(*port_info, queue_info, error); });
}

int configure(rte_eth_dev* device, const rte_flow_port_attr* attr, std::uint16_t queues,
              const rte_flow_queue_attr* queue_attrs[], rte_flow_error* error) {
  return with_templates(device, [&](Templates& t) {
    return t.configure(port_of(device), *attr, queues, queue_attrs, error);
  });
}

rte_flow_pattern_template* create_pattern(rte_eth_dev* device,
                                          const rte_flow_pattern_template_attr* attr,
                                          const rte_flow_item items[], rte_flow_error* error) {
  return handle<rte_flow_pattern_template>(with_templates(device, [&](Templates& t) {
    return t.create_pattern(port_of(device), *attr, items, error);
  }));
}

int destroy_pattern(rte_eth_dev* device, rte_flow_pattern_template* pattern,
                    rte_flow_error* error) {
  return with_templates(device, [&](Templates& t) {
    return t.destroy_pattern(handle<PatternTemplate>(pattern), error);
  });
}

rte_flow_actions_template* create_actions(rte_eth_dev* device,
                                          const rte_flow_actions_template_attr* attr,
                                          const rte_flow_action actions[],
                                          const rte_flow_action masks[], rte_flow_error* error) {
  return handle<rte_flow_actions_template>(with_templates(device, [&](Templates& t) {
    return t.create_actions(port_of(device), *attr, actions, masks, error);
  }));
}

int destroy_actions(rte_eth_dev* device, rte_flow_actions_template* actions,
                    rte_flow_error* error) {
  return with_templates(device, [&](Templates& t) {
    return t.destroy_actions(handle<ActionsTemplate>(actions), error);
  });
}

rte_flow_template_table* create_table(rte_eth_dev* device, const rte_flow_template_table_attr* attr,
                                      rte_flow_pattern_template* patterns[],
                                      std::uint8_t pattern_count,
                                      rte_flow_actions_template* actions[],
                                      std::uint8_t actions_count, rte_flow_error* error) {
  return handle<rte_flow_template_table>(with_templates(device, [&](Templates& t) {
    return t.create_table(port_of(device), *attr,
                          reinterpret_cast<PatternTemplate* const*>(patterns), pattern_count,
                          reinterpret_cast<ActionsTemplate* const*>(actions), actions_count, error);
  }));
}

int destroy_table(rte_eth_dev* device, rte_flow_template_table* table, rte_flow_error* error) {
  return with_templates(
      device, [&](Templates& t) { return t.destroy_table(handle<TemplateTable>(table), error); });
}

rte_flow* async_create(rte_eth_dev* device, std::uint32_t queue, const rte_flow_op_attr* attr,
                       rte_flow_template_table* table, const rte_flow_item pattern[],
                       std::uint8_t pattern_index, const rte_flow_action actions[],
                       std::uint8_t actions_index, void* user_data, rte_flow_error* error) {
  return handle<rte_flow>(with_templates(device, [&](Templates& t) {
    return t.create_rule(port_of(device), queue, attr->postpone != 0, handle<TemplateTable>(table),
                         pattern, pattern_index, actions, actions_index, user_data, error);
  }));
}

int async_destroy(rte_eth_dev* device, std::uint32_t queue, const rte_flow_op_attr* attr,
                  rte_flow* flow, void* user_data, rte_flow_error* error) {
  return with_templates(device, [&](Templates& t) {
    return t.destroy_rule(port_of(device), queue, attr->postpone != 0, handle<Rule>(flow),
                          user_data, error);
  });
}

int push(rte_eth_dev* device, std::uint32_t queue, rte_flow_error* error) {
  return with_templates(device,
                        [&](Templates& t) { return t.push(port_of(device), queue, error); });
}

int pull(rte_eth_dev* device, std::uint32_t queue, rte_flow_op_result results[], std::uint16_t room,
         rte_flow_error* error) {
  return with_templates(
      device, [&](Templates& t) { return t.pull(port_of(device), queue, results, room, error); });
}

// Indirect actions through a queue are carried out at once; only the result is asynchronous.

template <typename F>
int async_indirect(const rte_eth_dev* device, std::uint32_t queue, void* user_data,
                   rte_flow_error* error, F act) {
  const int room = with_templates(
      device, [&](Templates& t) { return t.check_room(port_of(device), queue, error); });
  if (room != 0) return room;
  const bool succeeded = act() == 0;
  return with_templates(device, [&](Templates& t) {
    return t.complete(port_of(device), queue, succeeded, user_data, error);
  });
}

rte_flow_action_handle* async_create_indirect(rte_eth_dev* device, std::uint32_t queue,
                                              const rte_flow_op_attr*,
                                              const rte_flow_indir_action_conf* conf,
                                              const rte_flow_action* action, void* user_data,
                                              rte_flow_error* error) {
  rte_flow_action_handle* made = nullptr;
  const int status = async_indirect(device, queue, user_data, error, [&] {
    made = create_indirect(device, conf, action, error);
    return made != nullptr ? 0 : -1;
  });
  return status == 0 ? made : nullptr;
}

int async_destroy_indirect(rte_eth_dev* device, std::uint32_t queue, const rte_flow_op_attr*,
                           rte_flow_action_handle* action, void* user_data, rte_flow_error* error) {
  return async_indirect(device, queue, user_data, error,
                        [&] { return destroy_indirect(device, action, error); });
}

int async_update_indirect(rte_eth_dev* device, std::uint32_t queue, const rte_flow_op_attr*,
                          rte_flow_action_handle* action, const void* update, void* user_data,
                          rte_flow_error* error) {
  return async_indirect(device, queue, user_data, error,
                        [&] { return update_indirect(device, action, update, error); });
}

int async_query_indirect(rte_eth_dev* device, std::uint32_t queue, const rte_flow_op_attr*,
                         const rte_flow_action_handle* action, void* data, void* user_data,
                         rte_flow_error* error) {
  return async_indirect(device, queue, user_data, error,
                        [&] { return query_indirect(device, action, data, error); });
}

}  // namespace

const rte_flow_ops& flow_operations() {
  static const rte_flow_ops operations = [] {
    rte_flow_ops ops{};
    ops.validate = validate;
    ops.create = create;
    ops.destroy = destroy;
    ops.flush = flush;
    ops.query = query;
    ops.isolate = isolate;
    ops.get_aged_flows = get_aged_flows;
    ops.action_handle_create = create_indirect;
    ops.action_handle_destroy = destroy_indirect;
    ops.action_handle_update = update_indirect;
    ops.action_handle_query = query_indirect;
    ops.pick_transfer_proxy = pick_transfer_proxy;
    ops.info_get = info_get;
    ops.configure = configure;
    ops.pattern_template_create = create_pattern;
    ops.pattern_template_destroy = destroy_pattern;
    ops.actions_template_create = create_actions;
    ops.actions_template_destroy = destroy_actions;
    ops.template_table_create = create_table;
    ops.template_table_destroy = destroy_table;
    ops.async_create = async_create;
    ops.async_destroy = async_destroy;
    ops.push = push;
    ops.pull = pull;
    ops.async_action_handle_create = async_create_indirect;
    ops.async_action_handle_destroy = async_destroy_indirect;
    ops.async_action_handle_update = async_update_indirect;
    ops.async_action_handle_query = async_query_indirect;
    return ops;
  }();
  return operations;
}

}  // namespace gannet::emudpu

// SPDX-License-Identifier: Apache-2.0

import com.sun.tools.attach.VirtualMachine;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/**
 * Prints what a broker has counted, by JMX: "request API COUNT" for each API and version that it was asked for, and
 * "connections LISTENER COUNT" for each network thread of each listener.
 *
 * <p>Argument: the broker's process id.
 */
public final class BrokerCounters {
    public static void main(String[] args) throws Exception {
        VirtualMachine broker = VirtualMachine.attach(args[0]);
        String address = broker.startLocalManagementAgent();
        broker.detach();
        try (JMXConnector connector = JMXConnectorFactory.connect(new JMXServiceURL(address))) {
            MBeanServerConnection beans = connector.getMBeanServerConnection();
            ObjectName requests = new ObjectName("kafka.network:type=RequestMetrics,name=RequestsPerSec,*");
            for (ObjectName name : beans.queryNames(requests, null)) {
                System.out.println("request " + name.getKeyProperty("request") + " " + beans.getAttribute(name, "Count"));
            }
            ObjectName sockets = new ObjectName("kafka.server:type=socket-server-metrics,listener=*,networkProcessor=*");
            for (ObjectName name : beans.queryNames(sockets, null)) {
                Number total = (Number) beans.getAttribute(name, "connection-creation-total");
                System.out.println("connections " + name.getKeyProperty("listener") + " " + total.longValue());
            }
        }
    }

    private BrokerCounters() { }
}
